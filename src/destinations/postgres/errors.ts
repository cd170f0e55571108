// What PostgreSQL's errors mean for us, by SQLSTATE. Its texts can quote row values (`DETAIL` does nearly always, the
// message often), so our messages are made of the error's named parts and of our own words only, and the
// driver's error is never attached as a cause.
import { type ErrorCode, TailraceError } from "../../contracts/errors.ts";
import { type ConnectionWords, connectionError, sqlState } from "../../kit/postgres/errors.ts";

/**
 * - `connecting`: nothing was sent yet.
 * - `working`: a transaction is open; when it breaks, nothing of it happened.
 * - `committing`: the commit was sent; when it breaks, it may have happened.
 */
export type Phase = "connecting" | "working" | "committing";

interface Parts {
  readonly code?: string | undefined;
  readonly message?: string | undefined;
  readonly schema?: string | undefined;
  readonly table?: string | undefined;
  readonly column?: string | undefined;
  readonly constraint?: string | undefined;
  readonly dataType?: string | undefined;
  readonly where?: string | undefined;
}

const MEANINGS: Readonly<Record<string, string>> = {
  "21000": "two rows of the batch are the same row for the table's unique index",
  "22001": "a text is too long for its column",
  "22003": "a number is out of its type's range",
  "22007": "a text is not a date or time",
  "22008": "a date or time is out of range",
  "22021": "a text is not valid in the database's encoding",
  "22P02": "a text is not a value of the column's type",
  "22P05": "a character does not exist in the database's encoding",
  "23502": "a column that must not be null got no value",
  "23503": "a foreign key has no row to refer to, or is still referred to",
  "23505": "another row has this value of a unique column already",
  "23514": "a check constraint does not hold",
  "23P01": "an exclusion constraint does not hold",
  "25006": "the database is read-only",
  "28000": "the user may not connect",
  "28P01": "the password was not accepted",
  "3D000": "the database does not exist",
  "3F000": "the schema does not exist",
  "40001": "the transaction could not be serialised",
  "40P01": "the transaction was part of a deadlock",
  "42501": "a privilege is missing",
  "42703": "a column does not exist",
  "42804": "a column's type does not take the value",
  "42846": "there is no cast to the column's type",
  "42883": "the column's type cannot be compared",
  "42P01": "the table does not exist",
  "42P10": "there is no unique index on the match columns",
  "53100": "the disk is full",
  "53200": "the server is out of memory",
  "53300": "there are too many connections",
  "55P03": "a lock was not to be had in time",
  "57014": "the statement was cancelled or took too long",
  "57P01": "the server shut the connection down",
  "57P03": "the server is starting up or shutting down",
};

const FIXES: Readonly<Record<string, string>> = {
  "3D000": "create it, or correct `database`",
  "42501": "`tailrace check` prints the GRANT",
  "42703": "add the column, correct `map`, or set `add_columns: true`",
  "42P01": "create it, correct `object`, or set `create_tables: true`",
  "42P10": "`tailrace check` prints the CREATE UNIQUE INDEX",
};

/** `arbiter`: the unique index that upserts go by; a violation of it is a race with another writer. */
export function databaseError(error: unknown, phase: Phase, arbiter: string | null = null): TailraceError {
  if (error instanceof TailraceError) return error;
  // No server and no socket throws these: taken for a broken connection, a batch would be tried for ever.
  if (error instanceof TypeError || error instanceof RangeError)
    return new TailraceError("internal.defect", `a batch could not be written (${error.name})`, { cause: error });
  const state = sqlState(error);
  if (state === null) return brokenConnection(error, phase);
  const parts = error as Parts;
  return new TailraceError(codeFor(state, phase, parts, arbiter), describe(state, parts));
}

function codeFor(state: string, phase: Phase, parts: Parts, arbiter: string | null): ErrorCode {
  const kind = state.slice(0, 2);
  if (kind === "28") return "destination.auth";
  if (state === "3D000") return "destination.config";
  // The session may have ended after the commit was written.
  const broken = kind === "08" || kind === "57" || kind === "58" || kind === "XX" || kind === "53" || state === "40003";
  if (broken && phase === "committing") return "destination.unknown";
  if (kind === "08") return "destination.unreachable";
  if (broken || kind === "40" || kind === "55" || kind === "25") {
    return "destination.unavailable";
  }
  if (state === "23505" && parts.constraint !== undefined && parts.constraint === arbiter)
    return "destination.unavailable";
  // A statement prepared before a column was altered; the next try plans anew.
  if (state === "0A000" && parts.message === "cached plan must not change result type")
    return "destination.unavailable";
  if (kind === "22" || kind === "23" || kind === "21" || kind === "44" || kind === "P0" || kind === "54")
    return "destination.refused";
  if (state === "42804" || state === "42846") return "destination.refused";
  return "destination.config";
}

function describe(state: string, parts: Parts): string {
  const text = [`${MEANINGS[state] ?? "PostgreSQL refused it"} (SQLSTATE ${state})`];
  const type = parts.dataType ?? typeIn(parts.message ?? "");
  if (type !== null) text.push(`type ${type}`);
  if (parts.table !== undefined)
    text.push(`table "${parts.schema === undefined ? "" : `${parts.schema}.`}${parts.table}"`);
  if (parts.column !== undefined) text.push(`column "${parts.column}"`);
  if (parts.constraint !== undefined) text.push(`constraint "${parts.constraint}"`);
  const named =
    state.startsWith("42") && parts.where === undefined
      ? /(?:table|relation|column|schema|function) \S+/.exec(parts.message ?? "")
      : null;
  if (named !== null && parts.table === undefined && parts.column === undefined) text.push(named[0]);
  const fix = FIXES[state];
  return fix === undefined ? text.join(", ") : `${text.join(", ")}: ${fix}`;
}

/** The type that a message names, where the form of the message is known not to hold anything else there. */
function typeIn(message: string): string | null {
  const syntax = /^invalid input (?:syntax for type|value for enum) ([A-Za-z0-9_. ]+)(?::|$)/.exec(message);
  if (syntax) return syntax[1]!;
  const range = /^value "[^]*" is out of range for type ([a-z0-9 ]+)$/.exec(message);
  if (range) return range[1]!;
  const long = /^value too long for type ([a-z0-9() ]+)$/.exec(message);
  return long ? long[1]! : null;
}

const WORDS: ConnectionWords = {
  peer: "destination",
  // A certificate that has expired or whose authority is new is mended at the other end, or in a file that is read again.
  codes: { tls: "destination.unreachable", auth: "destination.auth", unreachable: "destination.unreachable" },
};

function brokenConnection(error: unknown, phase: Phase): TailraceError {
  if (phase === "connecting") {
    const named = connectionError(error, WORDS);
    if (!named.message.startsWith("TLS ")) return named;
    const fix = "give the CA with `tls: { ca: FILE }`, or choose a weaker `tls.mode` knowingly";
    return new TailraceError(named.code, `${named.message}: ${fix}`);
  }
  const { code = "" } = (error ?? {}) as Parts;
  const why = /^E[A-Z0-9_]+$/.test(code) ? code : "connection ended";
  if (phase === "committing") {
    return new TailraceError(
      "destination.unknown",
      `the connection broke while the transaction was being committed (${why})`,
    );
  }
  return new TailraceError(
    "destination.unreachable",
    `the connection broke before the commit: nothing was written (${why})`,
  );
}
