import type { Change } from "../contracts/change.ts";
import type { Delivery } from "../contracts/destination.ts";
import type { TailraceError } from "../contracts/errors.ts";
import type { Entry } from "./delivery/entry.ts";

/**
 * Is told what happens to the rows of one sync. Of a row that it {@link takes} it hears everything that follows; of the others only
 * that they were rejected. Called in the middle of the work: it returns at once and never throws.
 */
export interface Observer {
  /** Whether it wants to hear of a row that is about to come: a change, or one that was read. */
  takes(kind: "change" | "read"): boolean;
  /** `unsent`: why nothing is to be sent for it; null: it waits to be sent. */
  captured(change: Change, unsent: Unsent | null): void;
  /** A row that was read waits to be sent; `by`: what it was read for. */
  read(entry: Entry, by: ReadBy): void;
  /** A request is about to carry these; both lists have the same order. Those that were not taken are among them. */
  sent(entries: readonly Entry[], deliveries: readonly Delivery[]): void;
  delivered(entries: readonly Entry[]): void;
  /** They were not taken, or it is not known; something else follows: another attempt, in smaller requests, or a rejection. */
  failed(entries: readonly Entry[], error: TailraceError): void;
  /** When the source was asked about them, there was nothing to send any more. */
  needless(entries: Iterable<Entry>): void;
  /** It is kept as a dead letter. */
  rejected(entry: Entry, error: TailraceError): void;
}

/** `query`: for changes of the tables that the model reads. `scan`: all its rows were compared with what was sent. */
export type ReadBy = "backfill" | "retry" | "query" | "scan";

/** `where`: the row is outside of the sync's condition. `other`: the mode does not send it, or a row that was read has it already. */
export type Unsent = "where" | "other";

/** Where nobody wants to know. */
export const UNOBSERVED: Observer = {
  takes: () => false,
  captured: () => {},
  read: () => {},
  sent: () => {},
  delivered: () => {},
  failed: () => {},
  needless: () => {},
  rejected: () => {},
};
