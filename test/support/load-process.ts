// The load in a process of its own, so that it does not share the engine's core.
import { fork } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { type Committed, type LoadOptions, run } from "./load.ts";

export interface LoadProcess extends AsyncDisposable {
  readonly pid: number;
  readonly done: Promise<Committed>;
  /** Finishes the transactions at hand; {@link done} then resolves. */
  stop(): void;
}

export function forkLoad(options: LoadOptions): LoadProcess {
  const child = fork(import.meta.filename, [JSON.stringify(options)], {
    serialization: "advanced",
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
  const done = Promise.race([
    once(child, "message").then(([committed]) => committed as Committed),
    once(child, "exit").then(([code, signal]) => {
      throw new Error(`the load ended with ${code ?? signal}`);
    }),
  ]);
  // Whoever awaits it sees the rejection; a test that kills the load need not.
  done.catch(() => {});
  return {
    pid: child.pid as number,
    done,
    stop: () => void (child.connected && child.send("stop")),
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function main(): Promise<void> {
  const stop = new AbortController();
  process.once("message", () => stop.abort());
  process.once("disconnect", () => process.exit(1));
  const committed = await run(JSON.parse(process.argv[2] ?? "{}") as LoadOptions, stop.signal);
  process.send?.(committed, () => process.exit(0));
}

if (import.meta.main) await main();
