// Errors of Snowflake's client library as ours. Snowflake's texts quote values: only those that name objects are passed on.
import { type ErrorCode, TailraceError } from "../../contracts/errors.ts";

interface LibraryError {
  readonly code?: string | number;
  readonly sqlState?: string;
  readonly message?: string;
}

/** Snowflake's codes whose texts have names of objects in them, and no values. */
const NAMING = new Set(["000904", "002003", "002043", "003001", "090105", "091930", "000606", "000707"]);

const KINDS: Readonly<Record<string, ErrorCode>> = {
  "000606": "source.config",
  "000707": "source.gap.purged",
  "000904": "source.model",
  "001003": "source.model",
  "002003": "source.model",
  "002043": "source.model",
  "003001": "source.config",
  "090105": "source.config",
  // The warehouse cannot be resumed: a resource monitor's quota is used up.
  "090073": "source.blocked",
  "091930": "source.gap.feed",
  "390144": "source.auth",
  "390100": "source.auth",
  "390189": "source.auth",
  "390201": "source.auth",
  "390422": "source.auth",
};

/** The session is gone; the library's connection with it (407002). */
const SESSION_LOST = new Set(["390104", "390111", "390112", "390114", "390195", "407002"]);

export function isSessionLost(error: unknown): boolean {
  return SESSION_LOST.has(String((error as LibraryError).code));
}

/** `what` names the model in errors. */
export function asSourceError(error: unknown, what: string): TailraceError {
  if (error instanceof TailraceError) return error;
  const { code, sqlState, message } = (error ?? {}) as LibraryError;
  const text = String(code ?? "");
  const kind = KINDS[text];
  const words = NAMING.has(text) ? `: ${(message ?? "").replaceAll(/\s+/g, " ").slice(0, 300)}` : "";
  const said = `${what}: Snowflake's error ${text === "" ? "without a code" : text}${sqlState === undefined ? "" : ` (${sqlState})`}${words}`;
  if (kind !== undefined) return new TailraceError(kind, said, { cause: error });
  // What the library says of settings, a key that is none among them; its texts are fixed.
  if (/^404\d{3}$/.test(text))
    return new TailraceError("source.config", `${what}: ${message ?? text}`, { cause: error });
  // Six digits are Snowflake's own; the library's are four hundred thousand and more.
  const isServers = /^(0|1)\d{5}$/.test(text);
  return new TailraceError(isServers ? "source.data" : "source.unreachable", said, { cause: error });
}
