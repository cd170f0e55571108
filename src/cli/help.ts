import { readFileSync } from "node:fs";
import type { Command } from "./command.ts";

export function version(): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return version;
}

export function overview(commands: readonly Command[]): string {
  const synopses = commands.map(({ name, usage }) => `${name} ${usage}`.trimEnd());
  const width = Math.max(...synopses.map((synopsis) => synopsis.length));
  const lines = commands.map(({ summary }, place) => `  tailrace ${synopses[place]!.padEnd(width)}  ${summary}`);
  return `Tailrace ${version()}: what is committed in your database reaches the tools your business runs on.

${lines.join("\n")}

  -c, --config PATH   the configuration: a file or a folder (default: tailrace.yml, tailrace.config.ts or tailrace/ here)
      --json          for machines: JSON on standard output
  -h, --help          after a command: its options
      --version

Exit codes: 0 done · 1 something needs attention · 2 the command line or configuration is wrong · 3 it could not be done ·
130 interrupted.
`;
}

export function commandHelp({ name, usage, summary, help }: Command): string {
  const synopsis = `tailrace ${name} ${usage}`.trimEnd();
  // Only the outer line breaks: an indented first line keeps its place.
  return `${synopsis}\n\n${summary}\n\n${help.replace(/^\n/, "").trimEnd()}\n\nAlways: -c, --config PATH · --json · -h, --help\n`;
}
