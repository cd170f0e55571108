import type { ParseArgsOptionsConfig } from "node:util";
import type { Log } from "../contracts/log.ts";

/** One word of the command line. */
export interface Command {
  readonly name: string;
  /** One line for `--help`. */
  readonly summary: string;
  /** What stands after the name: `SYNC [--all]`. */
  readonly usage: string;
  /** Paragraphs for `tailrace NAME --help`. */
  readonly help: string;
  readonly options: ParseArgsOptionsConfig;
  /** The exit code. Throws what the caller prints: a ConfigError, a TailraceError, a UsageError. */
  run(context: Context, args: Arguments): Promise<number>;
}

export interface Arguments {
  readonly positionals: readonly string[];
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
}

/** The world as a command sees it. */
export interface Context {
  readonly env: NodeJS.ProcessEnv;
  readonly workingDirectory: string;
  /** `--config`. */
  readonly configPath: string | undefined;
  /** For machines: JSON lines. Also when standard output is not a terminal and the command streams. */
  readonly json: boolean;
  readonly terminal: boolean;
  readonly color: boolean;
  /** Aborted by the first Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** A log at the configured level, written to standard output (`out`) or standard error (`err`). */
  log(level: "debug" | "info" | "warn" | "error" | "silent", to: "out" | "err"): Log;
}

/** The command line was not understood; printed with the command's usage. */
export class UsageError extends Error {}

export const EXIT = {
  ok: 0,
  /** It ran, and something needs attention: a sync stopped, a check found an error, a demo differs. */
  attention: 1,
  /** The command line or the configuration is wrong; nothing was done. */
  usage: 2,
  /** The source, a destination or the state could not be used. */
  failed: 3,
  /** Ended by a signal before it was done. */
  interrupted: 130,
} as const;
