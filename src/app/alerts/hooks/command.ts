import { spawn } from "node:child_process";
import { resolve } from "node:path";
import process from "node:process";
import { jsonOf, type Message } from "../message.ts";
import type { Hook } from "./hook.ts";

/** A program: what there is to say in its environment, and as JSON on its standard input. What it prints goes nowhere. */
export class CommandHook implements Hook {
  readonly #program: string;
  readonly #args: readonly string[];
  readonly #directory: string;
  readonly #timeoutMs: number;

  constructor(command: readonly string[], directory: string, timeoutMs: number) {
    const [program = "", ...args] = command;
    this.#program = programPath(program, directory);
    this.#args = args;
    this.#directory = directory;
    this.#timeoutMs = timeoutMs;
  }

  send(message: Message, signal: AbortSignal): Promise<void> {
    return new Promise((arrived, reject) => {
      const child = spawn(this.#program, this.#args, {
        cwd: this.#directory,
        env: { ...process.env, ...environmentOf(message) },
        stdio: ["pipe", "ignore", "ignore"],
        // A group of its own, so that what it has started can be ended with it, and Ctrl-C is not its own.
        detached: true,
      });
      let ended: Error | null = null;
      const end = (why: Error): void => {
        ended ??= why;
        if (child.pid !== undefined) killGroup(child.pid);
      };
      const timer = setTimeout(
        () => end(new Error(`the command ran for more than ${this.#timeoutMs} ms`)),
        this.#timeoutMs,
      );
      const onAbort = (): void => end(signal.reason as Error);
      signal.addEventListener("abort", onAbort, { once: true });
      const settle = (failure: Error | null): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        if (failure === null) arrived();
        else reject(failure);
      };
      child.once("error", ({ code }: NodeJS.ErrnoException) =>
        settle(new Error(`the command cannot be run (${code})`)),
      );
      child.once("exit", (code, by) =>
        settle(ended ?? (code === 0 ? null : new Error(`the command ended with ${code ?? by}`))),
      );
      // It need not read what it is given.
      child.stdin.on("error", () => {});
      child.stdin.end(jsonOf(message));
      if (signal.aborted) onAbort();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** As a shell would find it: by name through PATH, by path from the configuration's directory. */
export function programPath(program: string, directory: string): string {
  return program.includes("/") ? resolve(directory, program) : program;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** `TAILRACE_ALERT_TYPE`, and one variable for each of the message's data; what is not known is empty. */
function environmentOf({ id, type, data }: Message): Record<string, string> {
  const facts: Readonly<Record<string, string | number | null>> = { id, type, ...data };
  return Object.fromEntries(
    Object.entries(facts).map(([name, value]) => [
      `TAILRACE_ALERT_${name.toUpperCase()}`,
      String(value ?? "").replaceAll("\0", ""),
    ]),
  );
}
