// A cursor over SUBSCRIBE. Timestamps come in order: what is before the newest one that was seen is complete.
import type pg from "pg";
import type { FieldDef } from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import { destroy, isCut } from "../../kit/postgres/socket.ts";
import type { Diff } from "./net-changes.ts";
import { cutBy, query, type Sessions } from "./sessions.ts";
import { fetchRows, subscribe, SUBSCRIBE_COLUMNS } from "./statements.ts";
import { textOf } from "./types.ts";

const FETCH_ROWS = 1_000;

export interface Moment {
  readonly timestamp: bigint;
  readonly diffs: readonly Diff[];
}

export class Subscription {
  /** Of the model's own columns. */
  fields: readonly FieldDef[] = [];
  readonly #client: pg.Client;
  /** Everything before it is complete. */
  #frontier = 0n;
  /** What is at or before it does not come (any more). */
  #given: bigint;
  #pending: { readonly timestamp: bigint; readonly diffs: Diff[] }[] = [];

  private constructor(client: pg.Client, given: bigint) {
    this.#client = client;
    this.#given = given;
  }

  /** From behind `asOf` on; null: from now on. Throws the driver's error. */
  static async open(sessions: Sessions, from: string, asOf: bigint | null, signal: AbortSignal): Promise<Subscription> {
    const client = await sessions.connect(signal, false);
    const opened = new Subscription(client, asOf ?? 0n);
    try {
      await cutBy(signal, client, async () => {
        await client.query("BEGIN");
        await client.query(subscribe(from, asOf));
      });
      // The first row is the AS OF; that it is too old is said here.
      await opened.pull(signal);
      if (asOf === null) opened.#given = opened.#frontier;
      return opened;
    } catch (error) {
      destroy(client);
      throw error;
    }
  }

  /** Whether all from `first` on still comes. */
  covers(first: bigint): boolean {
    return first > this.#given && !isCut(this.#client);
  }

  isComplete(timestamp: bigint): boolean {
    return timestamp < this.#frontier;
  }

  /** Waits for at least one row, which comes every second. */
  async pull(signal: AbortSignal): Promise<void> {
    // Without a timeout, FETCH comes back as soon as it has anything.
    const { fields, rows } = await cutBy(signal, this.#client, () => query(this.#client, fetchRows(FETCH_ROWS)));
    if (rows.length === 0) throw new TailraceError("source.unreachable", "a subscription came to an end");
    this.fields = fields.slice(SUBSCRIBE_COLUMNS);
    for (const row of rows) this.#take(row);
  }

  /** What is complete, from `first` up to `last`, and has not been given out. */
  take(first: bigint, last: bigint): readonly Moment[] {
    const bound = last < this.#frontier ? last : this.#frontier - 1n;
    const ready = this.#pending.filter(({ timestamp }) => timestamp <= bound);
    this.#pending = this.#pending.slice(ready.length);
    if (bound > this.#given) this.#given = bound;
    return ready.filter(({ timestamp }) => timestamp >= first);
  }

  close(): void {
    destroy(this.#client);
  }

  #take([at, progressed, diff, ...values]: readonly (string | null)[]): void {
    const timestamp = BigInt(at!);
    if (timestamp < this.#frontier)
      throw new TailraceError("source.unreachable", "a subscription's timestamps went back");
    this.#frontier = timestamp;
    if (progressed === "t") return;
    let last = this.#pending.at(-1);
    if (last?.timestamp !== timestamp) this.#pending.push((last = { timestamp, diffs: [] }));
    last.diffs.push({
      diff: BigInt(diff!),
      values: values.map((value, place) => textOf(value, this.fields[place]!)),
    });
  }
}
