#!/usr/bin/env node
import process from "node:process";
import { parseArgs } from "node:util";
import { ConfigError, renderProblems } from "../app/config/problem.ts";
import { closest } from "../contracts/did-you-mean.ts";
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

/** Aborted by the first signal that asks for an end. */
const interrupted = new AbortController();
const color = (process.env["NO_COLOR"] ?? "") === "" && process.stdout.isTTY;

async function main(argv: readonly string[]): Promise<number> {
  const place = commandPlace(argv);
  const name = argv[place];
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
    const near = closest(
      name,
      COMMANDS.map((candidate) => candidate.name),
    );
    const suggestion = near === null ? "." : `; did you mean \`${near}\`?`;
    throw new UsageError(`There is no command \`${name}\`${suggestion} \`tailrace --help\` lists them.`);
  }
  const words = argv.toSpliced(place, 1);
  const { values, positionals } = parse(words, command);
  if (values["help"] === true) {
    process.stdout.write(commandHelp(command));
    return EXIT.ok;
  }
  return command.run(await contextOf(values), { values, positionals });
}

/** The first word that is neither an option nor the value of `--config`; -1: none. */
function commandPlace(argv: readonly string[]): number {
  return argv.findIndex((word, place) => !word.startsWith("-") && !["-c", "--config"].includes(argv[place - 1] ?? ""));
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
    throw new UsageError(`${wrongOption(error, command)} \`tailrace ${command.name} --help\` lists its options.`);
  }
}

/** What `parseArgs` says, in our words. */
function wrongOption(error: unknown, command: Command): string {
  const { message, code } = error as NodeJS.ErrnoException;
  const option = /'(-[^' ]+)/.exec(message)?.[1] ?? "";
  if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") {
    const names = [...Object.keys(COMMON), ...Object.keys(command.options)];
    const near = closest(option.replace(/^-+/, ""), names);
    return `There is no option \`${option}\` here${near === null ? "." : `; did you mean \`--${near}\`?`}`;
  }
  return message.split("\n")[0]!.replace(/\.?$/, ".");
}

async function contextOf(values: Readonly<Record<string, unknown>>): Promise<Context> {
  // Loaded only now: `--help` must not wait for it.
  const { createLog } = await import("../app/log.ts");
  const json = values["json"] === true;
  const terminal = process.stdout.isTTY;
  return {
    env: process.env,
    workingDirectory: process.cwd(),
    configPath: values["config"] as string | undefined,
    json,
    terminal,
    color: color && !json,
    signal: watchSignals(),
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
function watchSignals(): AbortSignal {
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (interrupted.signal.aborted) process.exit(EXIT.interrupted);
      interrupted.abort();
    });
  }
  return interrupted.signal;
}

/** What is printed of an error: never a stack, unless it is a defect of ours. */
function explain(error: unknown): { readonly text: string; readonly code: number } {
  if (interrupted.signal.aborted && !(error instanceof TailraceError && error.consequence === "internal")) {
    return { text: "", code: EXIT.interrupted };
  }
  if (error instanceof ConfigError) {
    return { text: `${renderProblems(error.problems, { color })}\n`, code: EXIT.usage };
  }
  if (error instanceof UsageError) return { text: `${error.message}\n`, code: EXIT.usage };
  if (error instanceof TailraceError && error.consequence !== "internal") {
    return {
      text: `${error.message} (${error.code})\n${error.hint}\n`,
      code: error.consequence === "config" ? EXIT.usage : EXIT.failed,
    };
  }
  return { text: `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`, code: EXIT.failed };
}

// Whoever reads our output may leave before its end (`| head`).
process.stdout.on("error", (error: NodeJS.ErrnoException) =>
  process.exit(error.code === "EPIPE" ? EXIT.ok : EXIT.failed),
);

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const { text, code } = explain(error);
  process.stderr.write(text);
  process.exitCode = code;
}
// A socket or a worker that a library left open must not keep a finished command from ending; output is flushed first.
process.stdout.write("", () => process.exit());
