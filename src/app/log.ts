import { pino, type Level, type Logger } from "pino";
import type { Log, LogFields } from "../contracts/log.ts";

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

export interface LogOptions {
  readonly level: LogLevel;
  /** `json`: one object a line. `text`: for people. */
  readonly format: "json" | "text";
  readonly color: boolean;
  readonly write: (line: string) => void;
}

/** The one log of a process. */
export function createLog(options: LogOptions): Log {
  const write =
    options.format === "json" ? options.write : (line: string) => options.write(textLine(line, options.color));
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    { write },
  );
  return wrap(logger);
}

function wrap(logger: Logger): Log {
  const at = (level: Level) => (message: string, fields?: LogFields) => logger[level](fields ?? {}, message);
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: (fields) => wrap(logger.child(fields)),
  };
}

const COLORS: Readonly<Record<string, string>> = {
  debug: "\u001B[2m",
  info: "\u001B[36m",
  warn: "\u001B[33m",
  error: "\u001B[31m",
};
const RESET = "\u001B[0m";

/** `12:03:04 WARN  message  sync=users code=…` */
function textLine(json: string, color: boolean): string {
  const { level, time, msg, ...fields } = JSON.parse(json) as { level: string; time: string; msg: string } & LogFields;
  const paint = (code: string, text: string): string => (color ? code + text + RESET : text);
  const pairs = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(
      ([name, value]) =>
        `${paint("\u001B[2m", `${name}=`)}${typeof value === "string" && /\s/.test(value) ? JSON.stringify(value) : String(value)}`,
    );
  return `${time.slice(11, 19)} ${paint(COLORS[level] ?? "", level.toUpperCase().padEnd(5))} ${[msg, ...pairs].join("  ")}\n`;
}
