/**
 * Where a part of the system says what it does. The first argument never holds a row's value or a secret; `fields` may
 * hold names, counts, positions, durations (with the unit in the name) and error codes.
 */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  child(fields: LogFields): Log;
}

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;
