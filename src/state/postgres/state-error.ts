// What PostgreSQL's and the connection's errors mean for the state. The driver's error is never attached.
import { type ErrorCode, TailraceError } from "../../contracts/errors.ts";
import { codeOf, connectionError, sqlState, type CodesByState } from "../../kit/postgres/errors.ts";

/** Where a session was when it failed. */
export type Moment = "opening" | "running";

/** The COMMIT was sent, and its answer never came: the transaction may have happened. */
export class OutcomeUnknown extends Error {
  readonly failure: TailraceError;

  constructor(failure: TailraceError) {
    super(failure.message);
    this.failure = failure;
  }
}

const CODES: CodesByState = {
  states: {
    "3D000": "state.refused", // no such database
    "42501": "state.refused", // a privilege is missing
    "42P01": "state.corrupt", // a table is gone
    "42703": "state.corrupt", // a column is gone
    "3F000": "state.corrupt", // the schema is gone
    XX001: "state.corrupt", // a page is damaged
    XX002: "state.corrupt", // an index is damaged
  },
  classes: {
    "28": "state.refused",
    "22": "internal.defect",
    "23": "internal.defect",
    "42": "internal.defect",
    "0A": "internal.defect",
  },
  otherwise: "state.unavailable",
};

const CONNECTION = {
  peer: "state's database",
  codes: { tls: "state.refused", auth: "state.refused", unreachable: "state.unavailable" },
} as const;

/** Classes whose messages name objects, settings and roles, never values. */
const SPEAKS_OF_NAMES = new Set(["08", "25", "28", "3D", "3F", "42", "53", "55", "57", "58", "XX"]);

/**
 * Once the state is open, what it is refused (a password that was changed, a role that lost a privilege) may pass, and
 * must not stop a sync for good: it is `state.unavailable` then, and tried again.
 */
export function stateError(error: unknown, where: string, moment: Moment): TailraceError {
  if (error instanceof TailraceError) {
    // A certificate's file that is just being replaced.
    const passing = moment === "running" && error.code === "config.invalid";
    return passing ? new TailraceError("state.unavailable", `${where}: ${error.message}`) : error;
  }
  if (error instanceof OutcomeUnknown) return error.failure;
  const state = sqlState(error);
  if (state === null) {
    const named = connectionError(error, CONNECTION);
    return new TailraceError(at(moment, named.code), `${where}: ${named.message}`);
  }
  const said = SPEAKS_OF_NAMES.has(state.slice(0, 2)) ? (error as Error).message : "the server refused a statement";
  return new TailraceError(at(moment, codeOf(state, CODES)), `${where}: ${said} (SQLSTATE ${state})`);
}

function at(moment: Moment, code: ErrorCode): ErrorCode {
  return code === "state.refused" && moment === "running" ? "state.unavailable" : code;
}

export function corrupt(where: string, what: string): TailraceError {
  return new TailraceError("state.corrupt", `${where}: ${what}`);
}
