import { randomUUID } from "node:crypto";
import { TailraceError } from "../../contracts/errors.ts";
import type { Connection, Row } from "./connection.ts";
import { isGone, monotonicMs, thisProcess, type Holder } from "./holder.ts";

/** A lease as its holder names it. Each acquisition has a new owner and a higher epoch. */
export interface Held {
  readonly sync: string;
  readonly owner: string;
  readonly epoch: number;
}

/**
 * The rows of table `lease`: who runs which sync. Nothing rests on a clock that can be set: within one boot of the
 * machine heartbeats are compared on its monotonic clock, across boots or containers a heartbeat is old when it has
 * been *seen* not to move for that long. A holder that was judged dead wrongly is fenced by its owner and epoch,
 * which every write checks in its own transaction.
 */
export class Leases {
  readonly #connection: Connection;
  readonly #staleMs: number;
  readonly #me: Holder = thisProcess();
  /** The last heartbeat seen of each holder, and when it was first seen. */
  readonly #seen = new Map<string, { readonly owner: string; readonly beatMs: number; readonly sinceMs: number }>();

  constructor(connection: Connection, staleMs: number) {
    this.#connection = connection;
    this.#staleMs = staleMs;
  }

  /** Takes the lease if nobody alive has it; null otherwise. A durable write transaction of its own. */
  tryAcquire(sync: string): Held | null {
    // A look without the write lock first: waiting must not disturb the one that works.
    if (this.#isHeld(this.#row(sync))) return null;
    return this.#connection.write("durable", () => {
      const row = this.#row(sync);
      if (this.#isHeld(row)) return null;
      const held: Held = { sync, owner: randomUUID(), epoch: Number(row?.["epoch"] ?? 0) + 1 };
      const { pid, started, boot, namespace } = this.#me;
      this.#connection.run(
        `INSERT OR REPLACE INTO lease (sync, epoch, owner, pid, started, boot, namespace, beat_ms, beat_at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        sync,
        held.epoch,
        held.owner,
        pid,
        started,
        boot,
        namespace,
        monotonicMs(),
        Date.now(),
      );
      this.#seen.delete(sync);
      return held;
    });
  }

  /** Inside a write transaction: false when another holder has taken over. */
  beat(held: Held): boolean {
    const changed = this.#connection.run(
      "UPDATE lease SET beat_ms = ?, beat_at_ms = ? WHERE sync = ? AND owner = ? AND epoch = ?",
      monotonicMs(),
      Date.now(),
      held.sync,
      held.owner,
      held.epoch,
    );
    return changed === 1;
  }

  /** Inside the transaction that it protects. */
  isOurs(held: Held): boolean {
    const row = this.#connection.get(
      "SELECT 1 AS ours FROM lease WHERE sync = ? AND owner = ? AND epoch = ?",
      held.sync,
      held.owner,
      held.epoch,
    );
    return row !== undefined;
  }

  /** The epoch stays, so that it goes on growing. */
  release(held: Held): void {
    this.#connection.write("durable", () =>
      this.#connection.run(
        "UPDATE lease SET owner = NULL WHERE sync = ? AND owner = ? AND epoch = ?",
        held.sync,
        held.owner,
        held.epoch,
      ),
    );
  }

  isHeld(sync: string): boolean {
    return this.#isHeld(this.#row(sync));
  }

  /** The syncs that a living process holds. */
  heldSyncs(): string[] {
    const rows = this.#connection.all("SELECT * FROM lease WHERE owner IS NOT NULL");
    return rows.filter((row) => this.#isHeld(row)).map((row) => String(row["sync"]));
  }

  forget(sync: string): void {
    this.#connection.run("DELETE FROM lease WHERE sync = ?", sync);
  }

  #row(sync: string): Row | undefined {
    return this.#connection.get("SELECT * FROM lease WHERE sync = ?", sync);
  }

  #isHeld(row: Row | undefined): boolean {
    const owner = row?.["owner"];
    if (row === undefined || typeof owner !== "string") return false;
    const holder: Holder = {
      pid: Number(row["pid"]),
      started: String(row["started"]),
      boot: String(row["boot"]),
      namespace: String(row["namespace"]),
    };
    if (isGone(holder, this.#me)) return false;
    const sync = String(row["sync"]);
    const beatMs = Number(row["beat_ms"]);
    const nowMs = monotonicMs();
    // After a restart of the machine the monotonic clock means nothing, and the calendar's has to do.
    const ageMs = holder.boot === this.#me.boot ? nowMs - beatMs : Date.now() - Number(row["beat_at_ms"]);
    if (ageMs > this.#staleMs) return false;
    const seen = this.#seen.get(sync);
    if (seen?.owner === owner && seen.beatMs === beatMs) return nowMs - seen.sinceMs <= this.#staleMs;
    this.#seen.set(sync, { owner, beatMs, sinceMs: nowMs });
    return true;
  }
}

export function leaseLost(sync: string): TailraceError {
  return new TailraceError("state.lease_lost", `another process has taken over ${sync}`);
}
