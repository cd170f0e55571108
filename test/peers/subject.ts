// What is measured: Tailrace or a peer, as one process that reads the load's table and posts to the receiver.
import type { RowReader } from "../support/envelope.ts";
import type { Receiver } from "../support/receiver.ts";
import type { Running } from "./process.ts";

export interface Setting {
  readonly databaseUrl: string;
  readonly receiverUrl: string;
  /** Schema and name, unquoted. */
  readonly table: string;
  /** Letters and digits: for what it makes on the server. */
  readonly name: string;
  /** Rows a request; null: one. */
  readonly batchRows: number | null;
  /** For one request to be answered. null: the subject's own default. */
  readonly timeoutMs: number | null;
}

export interface Subject extends AsyncDisposable {
  readonly name: string;
  /** The replication slot that it reads. */
  readonly slot: string;
  /**
   * Makes its slot and publication, and ends cleanly. `warmUp` commits one row, for subjects that store no progress before
   * the first; the caller's receiver must take it.
   */
  prepare(warmUp: () => Promise<void>, delivered: () => Promise<void>): Promise<void>;
  /** Always on. */
  start(): Running;
  /** Resolves when all that was committed before the call is delivered; the last row of it has been accepted already. */
  delivered(): Promise<void>;
}

export interface Kind {
  readonly name: string;
  /** How its requests are read. */
  readonly rows: RowReader;
  create(setting: Setting): Promise<Subject>;
}

/** Resolves when a whole answer has taken a row of `key`. */
export async function accepted(receiver: Receiver, key: string, timeoutMs: number): Promise<void> {
  const { entries } = receiver.ledger;
  // Entries before this one have ended, without the row.
  let from = 0;
  await receiver.until(() => {
    for (let at = from; at < entries.length; at += 1) {
      const entry = entries[at];
      if (entry?.kind === "request" && entry.rows.some((row) => row.key === key && row.acknowledged)) return true;
      if (at === from && (entry?.kind === "mark" || entry?.endedNs !== null)) from += 1;
    }
    return false;
  }, timeoutMs);
}
