import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { expect, test } from "vitest";
import { COMMANDS } from "./commands.ts";
import { commandHelp, overview } from "./help.ts";

test.each(COMMANDS.map((command) => ({ name: command.name, command })))(
  "$name: its help says every option",
  ({ command }) => {
    const help = commandHelp(command);
    expect(help.startsWith(`tailrace ${command.name}`)).toBe(true);
    for (const [option, { short }] of Object.entries(command.options)) {
      // Where options are listed, not in passing.
      expect(help).toMatch(new RegExp(`^  (-${short ?? ""}, )?--${option}\\b`, "m"));
      if (short !== undefined) expect(help).toMatch(new RegExp(`^  -${short}, --${option}\\b`, "m"));
    }
    // And none that it does not have.
    const listed = [...help.matchAll(/^ {2}(?:-\w, )?--([a-z-]+)/gm)].map((match) => match[1]!);
    expect(listed.filter((option) => option !== "json" && !(option in command.options))).toEqual([]);
  },
);

test("docs/cli.md has a section for every command, and every option", () => {
  const page = readFileSync(new URL("../../docs/cli.md", import.meta.url), "utf8");
  const headings = page.split("\n").filter((line) => line.startsWith("## "));
  const names = headings.flatMap((line) => line.slice(3).split(", "));
  expect(names.toSorted(byText)).toEqual(COMMANDS.map(({ name }) => name).toSorted(byText));
  const options = COMMANDS.flatMap((command) => Object.keys(command.options));
  expect(options.filter((option) => !page.includes(`--${option}`))).toEqual([]);
});

function byText(a: string, b: string): number {
  return a < b ? -1 : 1;
}

test("the overview has a line a command, in its order", () => {
  const lines = overview(COMMANDS)
    .split("\n")
    .filter((line) => line.startsWith("  tailrace "));
  expect(lines.map((line) => line.trim().split(" ")[1])).toEqual(COMMANDS.map(({ name }) => name));
  expect(lines.every((line) => line.length <= 150)).toBe(true);
});

test("help loads no client, parser or log", () => {
  const script = `
    import { registerHooks } from "node:module";
    const seen = [];
    registerHooks({ resolve: (specifier, context, next) => { seen.push(specifier); return next(specifier, context); } });
    process.argv.splice(1, process.argv.length, "main", "--help");
    process.on("exit", () => console.error(JSON.stringify(seen)));
    await import(${JSON.stringify(new URL("main.ts", import.meta.url).href)});`;
  const { stderr, status } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  expect(status, stderr).toBe(0);
  const seen = JSON.parse(stderr.trim().split("\n").at(-1)!) as string[];
  expect(seen).toContain("./commands.ts");
  expect(seen.filter((specifier) => !/^(node:|\.|file:)/.test(specifier))).toEqual([]);
});
