import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A subject's process. Disposing it kills it. */
export interface Running extends AsyncDisposable {
  readonly exit: Promise<Exit>;
  kill(signal: NodeJS.Signals): void;
  /** The last lines that it printed. */
  tail(): string;
}

const TAIL_CHARACTERS = 4000;

export function startProcess(command: string, args: readonly string[], cwd: string): Running {
  const child: ChildProcess = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-TAIL_CHARACTERS);
    });
  }
  const exit = once(child, "close").then(([code, signal]): Exit => ({ code, signal }));
  exit.catch(() => {});
  const die = (): void => void child.kill("SIGKILL");
  process.once("exit", die);
  child.once("close", () => process.removeListener("exit", die));
  return {
    exit,
    kill: (signal) => void child.kill(signal),
    tail: () => said,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await exit;
    },
  };
}

/** Asks for a clean end, and waits for it. */
export async function stop(running: Running): Promise<void> {
  running.kill("SIGTERM");
  await running.exit;
}
