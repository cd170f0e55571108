import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";

const ROOT = join(import.meta.dirname, "..", "..");
/** The project's own Node, even where the tests run under another. */
const OWN_NODE = join(ROOT, "node_modules", "node", "bin", "node");
export const NODE = existsSync(OWN_NODE) ? OWN_NODE : process.execPath;

export interface CliOptions {
  readonly cwd?: string | undefined;
  /** Added to a bare environment (PATH, HOME, TMPDIR, Node's cache): what else is set does not reach the command. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Another program than `src/cli/main.ts`. */
  readonly main?: string | undefined;
  readonly nodeArguments?: readonly string[] | undefined;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A running command. Disposing it kills it. */
export interface Cli extends AsyncDisposable {
  readonly pid: number;
  readonly exit: Promise<Exit>;
  /** Whole lines so far. */
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
  /** Lines of stdout that are JSON objects, parsed. */
  events(): Record<string, unknown>[];
  /**
   * The first line of stdout or stderr that matches, past or future. Rejects after `timeoutMs`, and when the command
   * ends without one; the error shows the last lines.
   */
  waitFor(match: RegExp | ((line: string) => boolean), timeoutMs?: number): Promise<string>;
  kill(signal?: NodeJS.Signals): void;
}

/** `tailrace …` as a child process, unbuilt. */
export function startCli(args: readonly string[], options: CliOptions = {}): Cli {
  const main = options.main ?? join(ROOT, "src", "cli", "main.ts");
  const { PATH = "", HOME = "/", TMPDIR = "/tmp", NODE_COMPILE_CACHE } = process.env;
  const child: ChildProcess = spawn(
    NODE,
    ["--disable-warning=ExperimentalWarning", ...(options.nodeArguments ?? []), main, ...args],
    {
      cwd: options.cwd ?? ROOT,
      env: { PATH: `${dirname(NODE)}:${PATH}`, HOME, TMPDIR, NODE_COMPILE_CACHE, NO_COLOR: "1", ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const stdout: string[] = [];
  const stderr: string[] = [];
  const listeners = new Set<(line: string) => void>();
  collect(child.stdout, stdout, listeners);
  collect(child.stderr, stderr, listeners);
  // `close`, not `exit`: by then everything that it printed has been read.
  const exit = once(child, "close").then(([code, signal]): Exit => ({ code, signal }));
  exit.catch(() => {});
  let over = false;
  child.once("close", () => {
    over = true;
  });
  const tail = (): string => [...stdout.slice(-10), ...stderr.slice(-10)].join("\n");

  return {
    pid: child.pid ?? -1,
    exit,
    stdout,
    stderr,
    events: () => stdout.flatMap(parsed),
    waitFor: (match, timeoutMs = 30_000) => {
      const matches = (line: string): boolean => (match instanceof RegExp ? match.test(line) : match(line));
      const past = stdout.find(matches) ?? stderr.find(matches);
      if (past !== undefined) return Promise.resolve(past);
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const fail = (why: string): void => reject(new Error(`${why} without ${String(match)}:\n${tail()}`));
      if (over) fail("the command ended");
      const listener = (line: string): void => {
        if (matches(line)) resolve(line);
      };
      listeners.add(listener);
      const timer = setTimeout(fail, timeoutMs, `${timeoutMs} ms passed`);
      exit.then(
        ({ code, signal }) => fail(`the command ended (${code ?? signal})`),
        (error: unknown) => fail(String(error)),
      );
      return promise.finally(() => {
        clearTimeout(timer);
        listeners.delete(listener);
      });
    },
    kill: (signal = "SIGKILL") => void child.kill(signal),
    [Symbol.asyncDispose]: async () => {
      if (!over) child.kill("SIGKILL");
      await exit;
    },
  };
}

/** Runs a command to its end. */
export async function runCli(
  args: readonly string[],
  options: CliOptions & { readonly timeoutMs?: number | undefined } = {},
): Promise<Exit & { readonly stdout: string; readonly stderr: string }> {
  await using cli = startCli(args, options);
  const timer = setTimeout(() => cli.kill(), options.timeoutMs ?? 60_000);
  const exit = await cli.exit;
  clearTimeout(timer);
  return { ...exit, stdout: cli.stdout.join("\n"), stderr: cli.stderr.join("\n") };
}

function collect(stream: NodeJS.ReadableStream | null, lines: string[], listeners: Set<(line: string) => void>): void {
  let rest = "";
  const add = (line: string): void => {
    lines.push(line);
    for (const listener of listeners) listener(line);
  };
  stream?.setEncoding("utf8");
  stream?.on("data", (text: string) => {
    const parts = (rest + text).split(/\r?\n/);
    rest = parts.pop() ?? "";
    for (const line of parts) add(line);
  });
  stream?.on("end", () => {
    if (rest !== "") add(rest);
  });
}

function parsed(line: string): Record<string, unknown>[] {
  if (!line.startsWith("{")) return [];
  try {
    return [JSON.parse(line) as Record<string, unknown>];
  } catch {
    return [];
  }
}
