/**
 * Errors are named by what the system does next.
 *
 * - `transient`: tried again after a backoff, without end.
 * - `throttled`: as transient, and everything that shares the destination waits.
 * - `auth`, `config`: trying again as it is will not help; the sync waits for a person (auth is probed now and then).
 * - `row-permanent`: this row, or one row of this batch, will never be taken.
 * - `unknown-outcome`: it may have happened; sent again with the same ids.
 * - `gap`: continuity cannot be proven; the sync stops, or resyncs where it was told to.
 * - `internal`: a defect of ours; the sync stops.
 */
export type Consequence =
  | "transient"
  | "throttled"
  | "auth"
  | "config"
  | "row-permanent"
  | "unknown-outcome"
  | "gap"
  | "internal";

export interface CatalogueEntry {
  readonly consequence: Consequence;
  /** What it means, for docs/errors.md. */
  readonly meaning: string;
  /** What the operator can do. */
  readonly hint: string;
}

/** Every error that Tailrace names; docs/errors.md is generated from it. */
export const CATALOGUE = {
  // sources
  "source.unreachable": {
    consequence: "transient",
    meaning: "The source could not be reached, or the connection was lost.",
    hint: "Nothing is lost: reading goes on where it stopped. If it lasts, check host, port, network and the database's own state.",
  },
  "source.silent": {
    consequence: "transient",
    meaning: "The replication connection is open, but no byte arrived, not even an answer to a requested keepalive.",
    hint: "The connection is opened anew. If it recurs, look for a firewall or proxy that drops idle connections.",
  },
  "source.auth": {
    consequence: "auth",
    meaning: "The source refused the credentials.",
    hint: "Check user, password and from where the user may connect (PostgreSQL: pg_hba.conf); `tailrace check` shows which connection.",
  },
  "source.tls": {
    consequence: "config",
    meaning: "The TLS connection to the source could not be made or verified.",
    hint: "Give the CA with `tls: { ca: FILE }`, or choose a weaker `tls.mode` knowingly. There is never a silent fallback to plain text.",
  },
  "source.config": {
    consequence: "config",
    meaning: "The source lacks a setting, privilege or object that reading needs.",
    hint: "Run `tailrace check`: it prints the statement that fixes it.",
  },
  "source.model": {
    consequence: "config",
    meaning: "A model's table, column or key is not there, or not as the configuration says.",
    hint: "Compare the model with the database; a renamed table or dropped column needs the configuration changed.",
  },
  "source.slot_busy": {
    consequence: "transient",
    meaning: "Another process reads from our replication slot.",
    hint: "Is a second Tailrace running with the same `name`? This one stands by and takes over when the slot is free.",
  },
  "source.blocked": {
    consequence: "transient",
    meaning: "A statement waits for an open transaction on the source.",
    hint: "End the transaction whose pid is named, or wait for it.",
  },
  "source.data": {
    consequence: "transient",
    meaning:
      "The source's data cannot be read as it is now: a file that is not whole, a value that cannot be converted.",
    hint: "It is tried again by itself, and goes on when the data is right. The message names the table; write data files under another name and rename them.",
  },
  "source.duplicate_key": {
    consequence: "row-permanent",
    meaning:
      "Several rows of a query have the same key; one of them was sent, and the others cannot be told apart from it.",
    hint: "Add columns to the model's `key`, or make the query give one row a key; then retry the failure.",
  },
  "source.gap.slot_missing": {
    consequence: "gap",
    meaning: "The replication slot that holds our place is gone.",
    hint: "Changes since the last checkpoint may be lost. `tailrace resync SYNC` sends every row again from the present state.",
  },
  "source.gap.slot_lost": {
    consequence: "gap",
    meaning: "The database invalidated the replication slot; the log that it held is gone.",
    hint: "Raise max_slot_wal_keep_size (or idle_replication_slot_timeout), then `tailrace resync SYNC`.",
  },
  "source.gap.slot_ahead": {
    consequence: "gap",
    meaning: "The slot starts later than our checkpoint: it was recreated or advanced by something else.",
    hint: "Changes in between are not in the log any more. `tailrace resync SYNC`.",
  },
  "source.gap.cluster": {
    consequence: "gap",
    meaning:
      "This is not the database that the checkpoint was made on (other cluster, restored backup, promoted standby).",
    hint: "If the change was meant, `tailrace resync SYNC`.",
  },
  "source.gap.publication": {
    consequence: "gap",
    meaning:
      "The publication, or a table's membership of it, was dropped and made again; changes in between were not published.",
    hint: "`tailrace resync SYNC`.",
  },
  "source.gap.over_budget": {
    consequence: "gap",
    meaning: "The source had to keep more log for a sync than is allowed, so the sync's place in it was given up.",
    hint: "See why the sync could not deliver, then `tailrace resync SYNC`. `wal_budget` on the source is the limit.",
  },
  "source.gap.truncate": {
    consequence: "gap",
    meaning:
      "A table was emptied at once (truncated; on MySQL also dropped or renamed), and the sync is told to stop on it.",
    hint: "Set `on_truncate: ignore`, or `tailrace resync SYNC`.",
  },
  "source.gap.purged": {
    consequence: "gap",
    meaning: "The source has deleted the part of its log that begins at our place.",
    hint: "Let the server keep its log for longer than Tailrace may stand still, then `tailrace resync SYNC`.",
  },
  "source.gap.replaced": {
    consequence: "gap",
    meaning: "The table, view or stream that our place is in was replaced by another one of the same name.",
    hint: "The new one has a history of its own. If the change was meant, `tailrace resync SYNC`.",
  },
  "source.gap.feed": {
    consequence: "gap",
    meaning: "The warehouse did not keep the changes of the table for a while, or keeps them in another way now.",
    hint: "The message says since when, and the statement that keeps them from now on. Then `tailrace resync SYNC`.",
  },
  "source.gap.unreadable": {
    consequence: "gap",
    meaning: "The log says that rows changed, but not how: a statement, an exchange of tables, a part that is missing.",
    hint: "The message says what it was, and which setting prevents it. Then `tailrace resync SYNC`.",
  },
  "source.gap.shape": {
    consequence: "gap",
    meaning: "The log holds rows of a table as it was before it was altered, and they cannot be read for sure.",
    hint: "The message says what is missing; on MySQL and MariaDB `binlog_row_metadata=FULL` keeps it in the log. Then `tailrace resync SYNC`.",
  },
  "source.protocol": {
    consequence: "internal",
    meaning: "The source sent a message that this version does not know. Nothing was skipped: the sync stopped.",
    hint: "Please report it with the database's version.",
  },
  // destinations
  "destination.unreachable": {
    consequence: "transient",
    meaning: "The destination could not be reached; nothing was sent.",
    hint: "Delivery goes on by itself when it answers again.",
  },
  "destination.unavailable": {
    consequence: "transient",
    meaning: "The destination answered that it cannot serve now (5xx, lock, deadlock).",
    hint: "Delivery goes on by itself when it recovers.",
  },
  "destination.timeout": {
    consequence: "unknown-outcome",
    meaning: "A request was on its way, and no complete answer came in time. It may have been taken.",
    hint: "It is sent again with the same ids, and fewer are sent at a time. If it lasts, raise the destination's timeout or send smaller batches.",
  },
  "destination.unknown": {
    consequence: "unknown-outcome",
    meaning: "The request was sent, but no complete answer came (reset, cut answer). It may have been taken.",
    hint: "It is sent again with the same id, so that the receiver can drop the repeat.",
  },
  "destination.throttled": {
    consequence: "throttled",
    meaning: "The destination asks us to slow down (429, Retry-After).",
    hint: "Delivery slows down by itself; set `rate` on the destination to stay under the limit.",
  },
  "destination.auth": {
    consequence: "auth",
    meaning: "The destination refused the credentials.",
    hint: "Renew the token or password; the sync goes on by itself once it is accepted.",
  },
  "secret.unavailable": {
    consequence: "auth",
    meaning: "A secret that is kept in a file, or that a command prints, could not be had.",
    hint: "See that the file is there and readable, or that the command ends well; it is tried again by itself.",
  },
  "destination.config": {
    consequence: "config",
    meaning:
      "The destination's answer says that the request is wrong for every row (wrong URL, redirect, missing object).",
    hint: "Correct the destination or the sync, then `tailrace resume SYNC`.",
  },
  "destination.blocked_address": {
    consequence: "config",
    meaning: "The destination's host is, or resolves to, a private or local address, which is not allowed.",
    hint: "If it is meant, add it to the destination's `allow_private`.",
  },
  "destination.refused": {
    consequence: "row-permanent",
    meaning: "The destination refused the row (or one row of the batch) for good.",
    hint: "See `tailrace failures show`; correct the row or the mapping, then `tailrace failures retry`.",
  },
  "destination.too_large": {
    consequence: "row-permanent",
    meaning: "The row, or the batch, is larger than the destination takes.",
    hint: "Map fewer or smaller fields; batches are halved by themselves.",
  },
  // delivery
  "delivery.mapping": {
    consequence: "row-permanent",
    meaning: "The row cannot be mapped (template error, a null where `null: reject`, a value that `as` cannot write).",
    hint: "Correct the mapping or the row, then `tailrace failures retry`.",
  },
  "delivery.no_match": {
    consequence: "row-permanent",
    meaning:
      "The value of the `match` field is null or could not be had, so the record cannot be found at the destination.",
    hint: "For deletes, make the source send it; `tailrace check` prints the statement (PostgreSQL: `ALTER TABLE … REPLICA IDENTITY FULL`).",
  },
  "delivery.exhausted": {
    consequence: "row-permanent",
    meaning: "The row was not taken after the allowed number of attempts, while others were.",
    hint: "See the destination's last answer with `tailrace failures show`.",
  },
  "delivery.too_many_failures": {
    consequence: "config",
    meaning: "The sync has as many failures as `failures.most` allows. It stopped, so that none is forgotten.",
    hint: "`tailrace failures list SYNC` shows why they failed. Drop them, or raise `failures.most`; then `tailrace resume SYNC`, and retry what was mended.",
  },
  "delivery.too_many_deletes": {
    consequence: "config",
    meaning:
      "A mirror is about to remove more records than `max_deletes` allows. It stopped before that; the message says how many of how many.",
    hint: "If they are to go, `tailrace resume SYNC --approve-deletes`. If not, bring the rows back (or correct `where` or the model), then `tailrace resync SYNC`.",
  },
  "delivery.mapping_changed": {
    consequence: "config",
    meaning:
      "Something else is made of the rows of a query than of those that were sent (another `map`, `mode`, `match`, `object`, `destination` or key, or other columns), so they are to be sent again. The sync stopped before that; the message says how many.",
    hint: "If they are to be sent, `tailrace resume SYNC --approve-resend`. If not, put the configuration back, then `tailrace resume SYNC`. With `on_mapping_change: resend` a sync does not ask; `tailrace plan` tells beforehand.",
  },
  "delivery.row_too_large": {
    consequence: "row-permanent",
    meaning: "The row alone is larger than the destination's largest batch.",
    hint: "Map fewer or smaller fields.",
  },
  // state and configuration
  "state.corrupt": {
    consequence: "config",
    meaning: "The state is damaged. It is not guessed at.",
    hint: "Restore it, or move it away and `tailrace resync` each sync.",
  },
  "state.version": {
    consequence: "config",
    meaning: "The state file has another schema version than this Tailrace can use.",
    hint: "Run the version of Tailrace that wrote it, or a newer one. The file was not changed.",
  },
  "state.unavailable": {
    consequence: "transient",
    meaning: "The state could not be written (disk full, file locked, database away). Reading stops until it can.",
    hint: "Free the disk, or bring the state's database back; nothing is lost meanwhile.",
  },
  "state.refused": {
    consequence: "config",
    meaning: "The database that keeps the state refuses: a password, a certificate, a privilege, a setting.",
    hint: "The message says what. docs/state.md has the GRANTs that are needed.",
  },
  "state.lease_held": {
    consequence: "transient",
    meaning: "Another process runs this sync.",
    hint: "This one stands by and takes over when the other ends.",
  },
  "state.lease_lost": {
    consequence: "transient",
    meaning: "Another process took over this sync; this one stopped sending.",
    hint: "Nothing to do, if a second instance is meant.",
  },
  "config.invalid": {
    consequence: "config",
    meaning: "The configuration is wrong.",
    hint: "The message names file, line, key and fix.",
  },
  "internal.defect": {
    consequence: "internal",
    meaning: "A defect in Tailrace.",
    hint: "Please report it; the sync stopped before anything could be lost.",
  },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof CATALOGUE;

/** The only error that crosses a room's door. Its message never holds a row's value or a secret. */
export class TailraceError extends Error {
  readonly code: ErrorCode;
  /** The least time to wait before the next try, where the other side said so. */
  readonly afterMs: number | undefined;
  /** What the other side answered, shortened and without row values, for `failures show`. */
  readonly answer: string | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    details: { cause?: unknown; afterMs?: number | undefined; answer?: string | undefined } = {},
  ) {
    super(message, details.cause === undefined ? {} : { cause: details.cause });
    this.name = "TailraceError";
    this.code = code;
    this.afterMs = details.afterMs;
    this.answer = details.answer;
  }

  get consequence(): Consequence {
    return CATALOGUE[this.code].consequence;
  }

  get hint(): string {
    return CATALOGUE[this.code].hint;
  }

  /** Any thrown value as a TailraceError; what was not one becomes `fallback`. */
  static from(error: unknown, fallback: ErrorCode = "internal.defect"): TailraceError {
    if (error instanceof TailraceError) return error;
    const message = error instanceof Error ? error.message : String(error);
    return new TailraceError(fallback, message, { cause: error });
  }
}
