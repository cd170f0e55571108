import { randomUUID } from "node:crypto";
import { TailraceError } from "../../contracts/errors.ts";
import type { Names } from "./schema.ts";
import type { Session, Sessions } from "./sessions.ts";
import { OutcomeUnknown } from "./state-error.ts";
import type { StoredSync, SyncRows } from "./sync-rows.ts";
import { type Moment, now } from "./term.ts";

/** A lease as its holder names it. Each acquisition has a new owner and a higher epoch. */
export interface Holder {
  readonly sync: string;
  readonly owner: string;
  readonly epoch: number;
}

export interface Acquired {
  readonly holder: Holder;
  readonly stored: StoredSync | null;
  /** When the request that began the lease was sent. */
  readonly sent: Moment;
}

// Whose clock counts: the server's alone, read when a row is looked at and not when the transaction began. An expiry that
// was written before the server last started says nothing: after a failover it is another machine's clock, and the last
// heartbeats may not have come over. Then the row is given a whole new term by the first who looks, and its holder, if it
// lives, says so meanwhile.
const FOREIGN = "server IS DISTINCT FROM pg_catalog.pg_postmaster_start_time()";
const RUNS = "expires_at > pg_catalog.clock_timestamp()";
const TERM = "server = pg_catalog.pg_postmaster_start_time(), expires_at = pg_catalog.clock_timestamp() +";
const LAZILY = "lazily AS (SELECT pg_catalog.set_config('synchronous_commit', 'off', true))";

/**
 * The rows of table `lease`: who runs which sync.
 *
 * A commit locks the row FOR KEY SHARE and finds its owner in it; who takes over locks it FOR UPDATE, which waits for the
 * commit to end. Heartbeats pass beside commits.
 */
export class Leases {
  readonly #names: Names;
  readonly #sessions: Sessions;
  readonly #syncs: SyncRows;
  readonly #leaseMs: number;
  /** By sync: owners of ours that nobody acts for any more. Their leases need not run out. */
  readonly #abandoned = new Map<string, string[]>();

  constructor(names: Names, sessions: Sessions, syncs: SyncRows, leaseMs: number) {
    this.#names = names;
    this.#sessions = sessions;
    this.#syncs = syncs;
    this.#leaseMs = leaseMs;
  }

  /** Takes the lease if nobody alive has it; null otherwise. */
  async tryAcquire(sync: string): Promise<Acquired | null> {
    const mine = this.#abandoned.get(sync) ?? [];
    // A look without a lock first: waiting must not disturb the one that works.
    const looked = await this.#sessions.read((session) => this.#look(session, sync, mine, ""));
    if (looked?.held === true && !looked.foreign) return null;
    const owner = randomUUID();
    const sent = now();
    try {
      const acquired = await this.#sessions.write((session) => this.#take(session, sync, owner, mine));
      if (acquired === null || acquired === "adopted") return null;
      this.#abandoned.delete(sync);
      return { ...acquired, sent };
    } catch (error) {
      if (error instanceof OutcomeUnknown) {
        this.abandon({ sync, owner });
        throw error.failure;
      }
      throw error;
    }
  }

  /** Nobody acts for this owner any more, but its lease may still be written. */
  abandon({ sync, owner }: Pick<Holder, "sync" | "owner">): void {
    this.#abandoned.set(sync, [...(this.#abandoned.get(sync) ?? []), owner]);
  }

  async #take(
    session: Session,
    sync: string,
    owner: string,
    mine: readonly string[],
  ): Promise<Omit<Acquired, "sent"> | "adopted" | null> {
    const table = this.#names.lease;
    await session.rows(`INSERT INTO ${table} (sync, epoch) VALUES ($1, 0) ON CONFLICT (sync) DO NOTHING`, [sync]);
    const found = await this.#look(session, sync, mine, "FOR UPDATE");
    if (found?.foreign === true && found.held) {
      await session.rows(`UPDATE ${table} SET ${TERM} $2 * interval '1 ms' WHERE sync = $1`, [sync, this.#leaseMs]);
      return "adopted";
    }
    if (found === null || found.held) return null;
    const [row] = await session.rows(
      `UPDATE ${table} SET epoch = epoch + 1, owner = $2, ${TERM} $3 * interval '1 ms' WHERE sync = $1
       RETURNING epoch::text AS epoch`,
      [sync, owner, this.#leaseMs],
    );
    const stored = await this.#syncs.load(session, sync);
    return { holder: { sync, owner, epoch: Number(row?.["epoch"]) }, stored };
  }

  async #look(
    session: Session,
    sync: string,
    mine: readonly string[],
    lock: "" | "FOR UPDATE",
  ): Promise<{ readonly held: boolean; readonly foreign: boolean } | null> {
    const [row] = await session.rows(
      `SELECT (owner IS NOT NULL AND owner <> ALL ($2) AND (${RUNS} OR ${FOREIGN}))::text AS held, (${FOREIGN})::text AS foreign
       FROM ${this.#names.lease} WHERE sync = $1 ${lock}`,
      [sync, [...mine]],
    );
    return row === undefined ? null : { held: row["held"] === "true", foreign: row["foreign"] === "true" };
  }

  /**
   * Gives each lease a new term. Answers which owners still had one: a lease that ran out, or that was taken, is over for
   * its holder.
   */
  async renew(sessions: Sessions, holders: readonly Holder[]): Promise<ReadonlySet<string>> {
    const rows = await sessions.once(
      `WITH ${LAZILY}
       UPDATE ${this.#names.lease} AS lease SET ${TERM} $3 * interval '1 ms'
       FROM lazily, unnest($1::text[], $2::text[]) AS held (sync, owner)
       WHERE lease.sync = held.sync AND lease.owner = held.owner AND (${RUNS} OR ${FOREIGN})
       RETURNING lease.owner`,
      [holders.map(({ sync }) => sync), holders.map(({ owner }) => owner), this.#leaseMs],
    );
    return new Set(rows.map((row) => row["owner"] ?? ""));
  }

  /** Inside the transaction that it protects: whether the lease is still this holder's, until the transaction ends. */
  async isOurs(session: Session, { sync, owner, epoch }: Holder, lock = "FOR KEY SHARE"): Promise<boolean> {
    const rows = await session.rows(
      `SELECT 1 FROM ${this.#names.lease} WHERE sync = $1 AND owner = $2 AND epoch = $3 ${lock}`,
      [sync, owner, epoch],
    );
    return rows.length === 1;
  }

  /** The epoch stays, so that it goes on growing. */
  async release(holder: Holder): Promise<void> {
    try {
      await this.#sessions.once(
        `UPDATE ${this.#names.lease} SET owner = NULL, expires_at = NULL WHERE sync = $1 AND owner = $2`,
        [holder.sync, holder.owner],
      );
    } catch (error) {
      this.abandon(holder);
      throw error;
    }
  }

  async heldSyncs(session: Session): Promise<ReadonlySet<string>> {
    const rows = await session.rows(
      `SELECT sync FROM ${this.#names.lease} WHERE owner IS NOT NULL AND (${RUNS} OR ${FOREIGN})`,
    );
    return new Set(rows.map((row) => row["sync"] ?? ""));
  }

  /** Inside the transaction that removes everything else of the sync. */
  async remove(session: Session, sync: string): Promise<void> {
    const found = await this.#look(session, sync, [], "FOR UPDATE");
    if (found?.held === true)
      throw new TailraceError("state.lease_held", `${sync} is running; stop it before its state is forgotten`);
    await session.rows(`DELETE FROM ${this.#names.lease} WHERE sync = $1`, [sync]);
  }
}
