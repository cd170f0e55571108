import { readFileSync } from "node:fs";
import type { Command } from "./command.ts";

export function version(): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return version;
}

export function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name, usage }) => `${name} ${usage}`.length));
  const lines = commands.map(
    ({ name, usage, summary }) => `  tailrace ${`${name} ${usage}`.padEnd(width)}  ${summary}`,
  );
  return `Tailrace ${version()}: what is committed in your database reaches the tools your business runs on.

${lines.join("\n")}

  -c, --config PATH   the configuration: a file or a folder (default: tailrace.yml or tailrace/ here)
      --json          for machines: JSON on standard output
  -h, --help          also after a command: its options
      --version

Exit codes: 0 done · 1 something needs attention · 2 the command line or configuration is wrong · 3 it could not be done.
`;
}

export function commandHelp({ name, usage, summary, help }: Command): string {
  return `tailrace ${name} ${usage}\n\n${summary}\n\n${help.trim()}\n`;
}
