// What an error of Materialize or of the connection means for us. A message is shown only in classes where it names objects and settings.
import { TailraceError } from "../../contracts/errors.ts";
import {
  type CodesByState,
  type ConnectionWords,
  codeOf,
  connectionError,
  sqlState,
} from "../../kit/postgres/errors.ts";

const CODES: CodesByState = {
  states: { "42501": "source.config", "3D000": "source.config", "57014": "source.unreachable" },
  classes: {
    "22": "source.model",
    "28": "source.auth",
    "3F": "source.model",
    "42": "source.model",
    "0A": "source.model",
  },
  otherwise: "source.unreachable",
};

const WORDS: ConnectionWords = {
  peer: "source",
  codes: { tls: "source.tls", auth: "source.auth", unreachable: "source.unreachable" },
};

const SPEAKS_OF_NAMES: ReadonlySet<string> = new Set(["28", "3D", "3F", "42", "53", "57"]);

/** `what`: the model, for messages. */
export function asSourceError(error: unknown, what: string): TailraceError {
  if (error instanceof TailraceError) return error;
  const state = sqlState(error);
  if (state === null) return connectionError(error, WORDS);
  const shown = SPEAKS_OF_NAMES.has(state.slice(0, 2)) && state !== "42601";
  const said = shown ? (error as Error).message : "Materialize refused the statement";
  return new TailraceError(codeOf(state, CODES), `${what}: ${said} (SQLSTATE ${state})`);
}

/** The history at an AS OF was compacted away. There is no SQLSTATE of its own: the two wordings that servers have had. */
export function isCompacted(error: unknown): boolean {
  const { message } = (error ?? {}) as { message?: unknown };
  return sqlState(error) !== null && /not valid for all inputs|could not find a valid timestamp/i.test(String(message));
}
