// The engine under test: the real command line in a process of its own.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { startCli } from "../../test/support/cli.ts";

export interface MemorySample {
  readonly atMs: number;
  readonly rssMib: number;
}

export interface Engine extends AsyncDisposable {
  readonly pid: number;
  /** Waits for the end and throws unless it was a clean one. */
  ended(): Promise<void>;
  /** Asks for a clean end, and waits for it. */
  stop(): Promise<void>;
  /** What the `null` destination says that it took. After the end. */
  taken(): { readonly rows: number; readonly lastAtMs: number };
  /** The most memory that the process ever held (VmHWM), and what it held over time. */
  memory(): { readonly peakMib: number; readonly curve: readonly MemorySample[] };
}

export interface EngineOptions {
  /** `run --once`: ends when it has caught up. */
  readonly once: boolean;
  /** Whether BENCH_PROFILE counts here. Default: yes. */
  readonly profile?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** As it is installed (`npm run build`), not from TypeScript sources. See {@link build}. */
  readonly built?: boolean;
}

const ROOT = join(import.meta.dirname, "..", "..");
const BUILT = join(ROOT, "dist", "cli", "main.js");

/** Compiles the command line, as `npm run build` does. */
export function build(): void {
  const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  execFileSync(process.execPath, [tsc, "-b", "src/cli"], { cwd: ROOT, stdio: ["ignore", 2, 2] });
}

/** A project may be started once before there is a receiver. */
const NO_SINK = { SINK_URL: "http://127.0.0.1:9" };
const SAMPLE_MS = 50;

export function startEngine(
  project: { readonly folder: string; readonly slot: string },
  options: EngineOptions,
): Engine {
  const into = options.profile === false ? undefined : process.env["BENCH_PROFILE"];
  const cli = startCli(["run", ...(options.once ? ["--once"] : []), "-c", project.folder], {
    cwd: project.folder,
    env: { ...NO_SINK, ...options.env },
    main: options.built === true ? BUILT : undefined,
    nodeArguments:
      into === undefined
        ? []
        : ["--cpu-prof", `--cpu-prof-dir=${into}`, `--cpu-prof-name=${project.slot}-${Date.now()}.cpuprofile`],
  });
  const kill = (): void => cli.kill();
  process.once("exit", kill);
  let peakMib = 0;
  const curve: MemorySample[] = [];
  const startedAtMs = performance.now();
  const sampling = setInterval(() => {
    const now = readMemory(cli.pid);
    if (now === null) return;
    peakMib = now.peakMib;
    curve.push({ atMs: Math.round(performance.now() - startedAtMs), rssMib: now.rssMib });
  }, SAMPLE_MS);
  cli.exit.then(
    () => clearInterval(sampling),
    () => clearInterval(sampling),
  );
  const ended = async (): Promise<void> => {
    const { code, signal } = await cli.exit;
    // What it complained of explains a figure that is out of line.
    for (const { level, msg, ...fields } of cli.events()) {
      if (level !== "info") process.stderr.write(`          the engine: ${String(msg)} ${JSON.stringify(fields)}\n`);
    }
    if (code !== 0) {
      const said = [...cli.stdout.slice(-5), ...cli.stderr.slice(-20)].join("\n");
      throw new Error(`the engine ended with ${code ?? signal}:\n${said}`);
    }
  };
  return {
    pid: cli.pid,
    ended,
    stop: async () => {
      cli.kill("SIGTERM");
      await ended();
    },
    taken: () => {
      const line = cli.events().find(({ msg }) => msg === "rows taken");
      if (line === undefined) throw new Error("the null destination took nothing");
      return { rows: Number(line["rows"]), lastAtMs: Number(line["lastAtMs"]) };
    },
    memory: () => ({ peakMib, curve }),
    [Symbol.asyncDispose]: async () => {
      process.removeListener("exit", kill);
      clearInterval(sampling);
      await cli[Symbol.asyncDispose]();
    },
  };
}

function readMemory(pid: number): { readonly peakMib: number; readonly rssMib: number } | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    const mib = (name: string): number => Number(new RegExp(`^${name}:\\s*(\\d+) kB$`, "m").exec(status)?.[1]) / 1024;
    const peakMib = mib("VmHWM");
    // A process that has just ended has no memory any more.
    return Number.isNaN(peakMib) ? null : { peakMib, rssMib: Math.round(mib("VmRSS") * 10) / 10 };
  } catch {
    return null;
  }
}
