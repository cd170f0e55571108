// What an error of the server or of the connection means for us. The server's message is shown only in classes where
// it names objects and settings; elsewhere it may quote a row's value. The driver's error is never attached.
import { TailraceError } from "../../contracts/errors.ts";
import {
  type CodesByState,
  type ConnectionWords,
  codeOf,
  connectionError,
  sqlState,
} from "../../kit/postgres/errors.ts";

const states: CodesByState["states"] = {
  "3D000": "source.config", // no such database
  "42501": "source.config", // a privilege is missing
  "42P01": "source.model", // no such table
  "42703": "source.model", // no such column
  "42704": "source.config", // no such slot, type, role
  "3F000": "source.model", // no such schema
  "55006": "source.slot_busy",
  "55P03": "source.blocked", // a lock was not to be had in time
  "57014": "source.unreachable", // cancelled by somebody
  "25006": "source.config", // a read-only server
  "40001": "source.unreachable",
  "40P01": "source.unreachable",
};

const classes: CodesByState["classes"] = {
  "08": "source.unreachable",
  "22": "source.model", // a key's text is not of the column's type (any more)
  "28": "source.auth",
  "40": "source.unreachable",
  "53": "source.unreachable", // out of connections, memory, disk
  "55": "source.config",
  "57": "source.unreachable", // shutting down, starting up
  "58": "source.unreachable", // the server's own disk
  "42": "source.config",
  "0A": "source.config",
  XX: "source.unreachable",
};

const CODES: CodesByState = { states, classes, otherwise: "source.unreachable" };

const WORDS: ConnectionWords = {
  peer: "source",
  codes: { tls: "source.tls", auth: "source.auth", unreachable: "source.unreachable" },
};

/** Classes whose messages name objects, settings and roles, never values. */
const SPEAKS_OF_NAMES = new Set(["08", "28", "3D", "3F", "42", "53", "55", "57", "25"]);

/**
 * Any error of a statement or a connection, named. What is not known is transient and never "absent": it is tried
 * again, and the message says what it was.
 */
export function asSourceError(error: unknown): TailraceError {
  if (error instanceof TailraceError) return error;
  const state = sqlState(error);
  if (state !== null) {
    const kind = state.slice(0, 2);
    const said = (error as Error).message;
    const shown = SPEAKS_OF_NAMES.has(kind) && state !== "42601" ? said : "the server refused the statement";
    return new TailraceError(codeOf(state, CODES), `${shown} (SQLSTATE ${state})`);
  }
  return connectionError(error, WORDS);
}
