#!/usr/bin/env node
import process from "node:process";
import { parseArgs } from "node:util";
import { ConfigError } from "../app/config/load.ts";
import { renderProblems } from "../app/config/problem.ts";
import { createLog } from "../app/log.ts";
import { TailraceError } from "../contracts/errors.ts";
import { type Command, type Context, EXIT, UsageError } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { commandHelp, overview, version } from "./help.ts";

const COMMON = {
  config: { type: "string", short: "c" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean" },
} as const;

const color = process.env["NO_COLOR"] === undefined && process.stdout.isTTY;

async function main(argv: readonly string[]): Promise<number> {
  const name = argv.find((word) => !word.startsWith("-"));
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined) {
    if (argv.includes("--version")) {
      process.stdout.write(`${version()}\n`);
      return EXIT.ok;
    }
    if (name === undefined || name === "help") {
      process.stdout.write(overview(COMMANDS));
      return name === undefined && !argv.includes("--help") && !argv.includes("-h") ? EXIT.usage : EXIT.ok;
    }
    throw new UsageError(`There is no command \`${name}\`. \`tailrace --help\` lists them.`);
  }
  const words = argv.toSpliced(argv.indexOf(command.name), 1);
  const { values, positionals } = parse(words, command);
  if (values["help"] === true) {
    process.stdout.write(commandHelp(command));
    return EXIT.ok;
  }
  return command.run(contextOf(values), { values, positionals });
}

function parse(words: readonly string[], command: Command) {
  try {
    return parseArgs({
      args: [...words],
      options: { ...COMMON, ...command.options },
      allowPositionals: true,
      strict: true,
    });
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n\n${commandHelp(command)}`);
  }
}

function contextOf(values: Readonly<Record<string, unknown>>): Context {
  const json = values["json"] === true;
  const terminal = process.stdout.isTTY;
  return {
    env: process.env,
    workingDirectory: process.cwd(),
    configPath: values["config"] as string | undefined,
    json,
    terminal,
    color: color && !json,
    signal: interruption(),
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    log: (level, to) => {
      const stream = to === "out" ? process.stdout : process.stderr;
      return createLog({
        level,
        format: json || !stream.isTTY ? "json" : "text",
        color: color && stream.isTTY,
        write: (line) => void stream.write(line),
      });
    },
  };
}

/** The first signal asks for a clean end; the second one ends at once. */
function interruption(): AbortSignal {
  const abort = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (abort.signal.aborted) process.exit(130);
      abort.abort();
    });
  }
  return abort.signal;
}

/** What is printed of an error: never a stack, unless it is a defect of ours. */
function explain(error: unknown): { readonly text: string; readonly code: number } {
  if (error instanceof ConfigError) return { text: renderProblems(error.problems, { color }), code: EXIT.usage };
  if (error instanceof UsageError) return { text: `${error.message}\n`, code: EXIT.usage };
  if (error instanceof TailraceError && error.consequence !== "internal") {
    return {
      text: `${error.message} (${error.code})\n${error.hint}\n`,
      code: error.consequence === "config" ? EXIT.usage : EXIT.failed,
    };
  }
  return { text: `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`, code: EXIT.failed };
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const { text, code } = explain(error);
  process.stderr.write(text);
  process.exitCode = code;
}
// A socket or a worker that a library left open must not keep a finished command from ending; output is flushed first.
process.stdout.write("", () => process.exit());
