// How long it took until the receiver had a row that contains a change.
import { setTimeout as delay } from "node:timers/promises";
import process from "node:process";
import type { HttpSink } from "./http-sink.ts";
import type { UserRow } from "./live-query-orders.ts";

interface Awaited {
  readonly row: string;
  readonly sentNs: bigint;
}

const POLL_MS = 100;

/**
 * A row that arrives shows a state of its user; it contains the change that brought it about, and all of that user before. States of a user
 * differ by sums of random amounts.
 */
export class RowArrivals {
  readonly #awaited = new Map<number, Awaited[]>();
  #latenciesMs: number[] = [];

  committing(row: UserRow): void {
    const list = this.#awaited.get(row.user) ?? [];
    this.#awaited.set(row.user, list);
    list.push({ row: textOf(row), sentNs: process.hrtime.bigint() });
  }

  /** Of all rows that changed since the last call, in ms; waits for them. */
  async all(
    sink: HttpSink,
    timeoutMs: number,
  ): Promise<{ readonly latenciesMs: readonly number[]; readonly rows: number }> {
    let rows = 0;
    for (const deadlineMs = Date.now() + timeoutMs; ; await delay(POLL_MS)) {
      for (const { wholeNs, body } of await sink.takeRequests()) {
        for (const { record } of JSON.parse(body) as readonly Envelope[]) {
          rows += 1;
          this.#arrived({ user: record.id, orders: record.orders, cents: Math.round(record.spent * 100) }, wholeNs);
        }
      }
      if (this.#awaited.size === 0) break;
      if (Date.now() > deadlineMs) throw new Error(`changes of ${this.#awaited.size} users did not arrive`);
    }
    const latenciesMs = this.#latenciesMs;
    this.#latenciesMs = [];
    return { latenciesMs, rows };
  }

  #arrived(row: UserRow, atNs: bigint): void {
    const list = this.#awaited.get(row.user);
    const text = textOf(row);
    const place = list?.findIndex((awaited) => awaited.row === text) ?? -1;
    if (place === -1) return;
    for (const { sentNs } of list!.splice(0, place + 1)) this.#latenciesMs.push(Number(atNs - sentNs) / 1e6);
    if (list!.length === 0) this.#awaited.delete(row.user);
  }
}

interface Envelope {
  readonly record: { readonly id: number; readonly orders: number; readonly spent: number };
}

function textOf({ orders, cents }: UserRow): string {
  return `${orders} ${cents}`;
}
