// Runs a floor script as a process of its own, under the Node that the engine runs under.
import { spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { NODE } from "../../test/support/cli.ts";

export interface FloorProcess extends AsyncDisposable {
  /** The next whole line that it prints. */
  line(): Promise<string>;
}

export function startFloor(script: "read.ts" | "post.ts" | "binlog.ts", argument: unknown): FloorProcess {
  const child = spawn(
    NODE,
    ["--disable-warning=ExperimentalWarning", join(import.meta.dirname, script), JSON.stringify(argument)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  const lines: string[] = [];
  let rest = "";
  let over = false;
  let changed = Promise.withResolvers<void>();
  const change = (): void => {
    const { resolve } = changed;
    changed = Promise.withResolvers();
    resolve();
  };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
    change();
  });
  const closed = new Promise<void>((resolve) => {
    child.once("close", () => {
      over = true;
      change();
      resolve();
    });
  });
  return {
    line: async () => {
      for (;;) {
        const line = lines.shift();
        if (line !== undefined) return line;
        if (over) throw new Error(`the floor (${script}) ended`);
        await changed.promise;
      }
    },
    [Symbol.asyncDispose]: async () => {
      process.removeListener("exit", kill);
      if (!over) kill();
      await closed;
    },
  };
}
