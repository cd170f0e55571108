// What the server's errors mean for us, by number. Its texts quote row values, so our messages are made of our own words and
// of names whose place in a message is known; the driver's error is never attached as a cause.
import { type ErrorCode, TailraceError } from "../../contracts/errors.ts";

/**
 * - `connecting`: nothing was sent yet.
 * - `working`: a transaction is open; when it breaks, nothing of it happened.
 * - `committing`: the commit was sent; when it breaks, it may have happened.
 */
export type Phase = "connecting" | "working" | "committing";

interface DriverError {
  readonly errno?: number | undefined;
  readonly code?: string | undefined;
  readonly sqlState?: string | undefined;
  readonly message?: string | undefined;
}

/** [number, what it means, what to do] */
const CONFIG: readonly (readonly [number, string, string?])[] = [
  [1044, "the user may not use the database", "`tailrace check` prints the GRANT"],
  [1049, "the database does not exist", "create it, or correct `database`"],
  [1054, "a column does not exist", "add it, correct `map`, or set `add_columns: true`"],
  [1142, "a privilege is missing", "`tailrace check` prints the GRANT"],
  [1143, "a privilege on a column is missing", "`tailrace check` prints the GRANT"],
  [1146, "the table does not exist", "create it, correct `object`, or set `create_tables: true`"],
  [1227, "a privilege is missing"],
  [1665, "the server's binlog_format STATEMENT does not take our transactions", "set it to ROW"],
];

const AUTH: readonly (readonly [number, string])[] = [
  [1045, "the user or password was not accepted"],
  [1130, "the server does not take connections from this host"],
  [1251, "the server wants another way of logging in"],
  [1275, "the user's password is of an old kind"],
  [1698, "the user may not log in this way"],
  [1820, "the user's password must be changed"],
  [1862, "the user's password has expired"],
  [3118, "the user is locked"],
  [4151, "the user is locked"],
];

const TRANSIENT: readonly (readonly [number, string])[] = [
  [1020, "a row was changed by another transaction"],
  [1040, "there are too many connections"],
  [1203, "the user has too many connections"],
  [1205, "a lock was not to be had in time"],
  [1213, "the transaction was part of a deadlock"],
  [1226, "the user is over a limit of the server"],
  [1290, "the server is read-only"],
  [1412, "the table was altered"],
  [1615, "the table was altered"],
  [1792, "the transaction is read-only"],
  [1836, "the server is read-only"],
];

/** The server may have committed before it said so. */
const BROKEN: readonly (readonly [number, string])[] = [
  [1021, "the disk is full"],
  [1037, "the server is out of memory"],
  [1038, "the server is out of memory"],
  [1041, "the server is out of memory"],
  [1053, "the server shuts down"],
  [1077, "the server shuts down"],
  [1114, "the table is full"],
  [1129, "the server has blocked this host after too many failed connections"],
  [1135, "the server cannot make a thread"],
  [1158, "the connection broke"],
  [1159, "the connection was silent too long"],
  [1160, "the connection broke"],
  [1161, "the connection was silent too long"],
  [1180, "the commit failed"],
  [1184, "the connection was ended"],
  [1206, "the server has no room for more locks"],
  [1317, "the statement was cancelled"],
  [1927, "the connection was killed"],
  [1969, "the statement took too long"],
  [3024, "the statement took too long"],
  [4031, "the connection was silent too long"],
];

const ROW: readonly (readonly [number, string])[] = [
  [1048, "a column that must not be null got no value"],
  [1062, "another row has this value of a unique column already"],
  [1118, "the row is larger than the table takes"],
  [1264, "a number is out of its column's range"],
  [1265, "a value does not fit its column"],
  [1292, "a text is not a value of the column's type"],
  [1364, "a column that has no default got no value"],
  [1366, "a text is not a value of the column's type, or not in its character set"],
  [1406, "a text is too long for its column"],
  [1411, "a text is not a value of the column's type"],
  [1451, "another table still refers to the row"],
  [1452, "a foreign key has no row to refer to"],
  [1526, "no partition takes the row"],
  [1644, "a trigger refused the row"],
  [1690, "another row has this value of a unique column already, under another match"],
  [1748, "no partition takes the row"],
  [3140, "a text is not JSON"],
  [3819, "a check constraint does not hold"],
  [4025, "a check constraint does not hold"],
];

const MEANINGS = new Map<
  number,
  { readonly code: ErrorCode; readonly what: string; readonly fix?: string | undefined }
>([
  ...CONFIG.map(([number, what, fix]) => [number, { code: "destination.config" as const, what, fix }] as const),
  ...AUTH.map(([number, what]) => [number, { code: "destination.auth" as const, what }] as const),
  ...[...TRANSIENT, ...BROKEN].map(
    ([number, what]) => [number, { code: "destination.unavailable" as const, what }] as const,
  ),
  ...ROW.map(([number, what]) => [number, { code: "destination.refused" as const, what }] as const),
  [1153, { code: "destination.too_large", what: "a row is larger than the server's max_allowed_packet" }],
]);
const MAY_HAVE_COMMITTED = new Set(BROKEN.map(([number]) => number));

/** An error that the server sent, as against one of the connection. */
export function isServerError(error: unknown): boolean {
  const { errno, sqlState } = (error ?? {}) as DriverError;
  return typeof errno === "number" && errno >= 1000 && typeof sqlState === "string";
}

export function databaseError(error: unknown, phase: Phase): TailraceError {
  if (error instanceof TailraceError) return error;
  if (!isServerError(error)) return brokenConnection(error, phase);
  const { errno = 0, sqlState = "", message = "" } = error as DriverError;
  const known = MEANINGS.get(errno);
  const text = [`${known?.what ?? "the server refused it"} (error ${errno}, SQLSTATE ${sqlState})`, ...named(message)];
  const what = known?.fix === undefined ? text.join(", ") : `${text.join(", ")}: ${known.fix}`;
  if (phase === "committing" && MAY_HAVE_COMMITTED.has(errno)) return new TailraceError("destination.unknown", what);
  return new TailraceError(known?.code ?? codeByState(sqlState), what);
}

function codeByState(sqlState: string): ErrorCode {
  const kind = sqlState.slice(0, 2);
  if (kind === "22" || kind === "23" || kind === "44" || kind === "45") return "destination.refused";
  if (kind === "08") return "destination.unreachable";
  if (kind === "40" || kind === "25" || kind === "70") return "destination.unavailable";
  if (kind === "28") return "destination.auth";
  return "destination.config";
}

/** Names, from the ends of messages whose form is known: a value may come before them, and never behind. */
function named(message: string): string[] {
  const column =
    /(?:for|Field|Column) (?:column )?(?:`[^`']*`\.){0,2}[`']([^`']{1,64})[`'](?: at row \d+| cannot be null| doesn't have a default value)$/.exec(
      message,
    )?.[1];
  if (column !== undefined) return [`column "${column}"`];
  const key = /^Duplicate entry '[^]*' for key '([^']{1,200})'$/.exec(message)?.[1];
  if (key !== undefined) return [`index "${key}"`];
  const constraint = /^CONSTRAINT `([^`]{1,130})` failed for [^']*$/.exec(message)?.[1];
  if (constraint !== undefined) return [`constraint "${constraint}"`];
  const object =
    /^(Table '[^']{1,200}' doesn't exist|Unknown column '[^']{1,200}' in '[^']{1,40}'|Unknown database '[^']{1,64}')$/.exec(
      message,
    )?.[1];
  return object === undefined ? [] : [object];
}

function brokenConnection(error: unknown, phase: Phase): TailraceError {
  if (
    error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof ReferenceError ||
    error instanceof SyntaxError
  )
    return TailraceError.from(error);
  const { code: given, message = "" } = (error ?? {}) as DriverError;
  const code = typeof given === "string" && /^[A-Z][A-Z0-9_]+$/.test(given) ? given : "";
  const why = code === "" ? "" : ` (${code})`;
  if (phase === "committing")
    return new TailraceError(
      "destination.unknown",
      `the connection broke while the transaction was being committed${why}`,
    );
  if (phase === "working")
    return new TailraceError(
      "destination.unreachable",
      `the connection broke before the commit: nothing was written${why}`,
    );
  if (code === "HANDSHAKE_NO_SSL_SUPPORT") return tlsError("the server does not offer TLS");
  if (
    /^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|INVALID_CA|EPROTO$|HOSTNAME_MISMATCH|HANDSHAKE_SSL)/.test(
      code,
    )
  )
    return tlsError(`its certificate is not accepted, or ours is not${why}`);
  if (code === "ENOTFOUND") return new TailraceError("destination.unreachable", `the host name is not known${why}`);
  if (code === "ECONNREFUSED")
    return new TailraceError("destination.unreachable", `nothing listens on the destination's host and port${why}`);
  if (/auth/i.test(code) || /auth(entication)? plugin/i.test(message))
    return new TailraceError("destination.auth", "the server wants a way of logging in that is not known here");
  return new TailraceError("destination.unreachable", `the connection failed${why}`);
}

function tlsError(what: string): TailraceError {
  const fix = "give the CA with `tls: { ca: FILE }`, or choose a weaker `tls.mode` knowingly";
  return new TailraceError("destination.unreachable", `TLS to the destination failed: ${what}: ${fix}`);
}
