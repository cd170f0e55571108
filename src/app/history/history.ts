import { TailraceError } from "../../contracts/errors.ts";
import type { Log } from "../../contracts/log.ts";
import type { Observer } from "../../engine/observer.ts";
import type { HistorySettings } from "../config/config.ts";
import { type HistoryGap, type HistoryRecord, lineOf } from "./record.ts";
import { Segments } from "./segments.ts";
import { SyncHistory } from "./sync-history.ts";

/** Where a {@link SyncHistory} puts what it has to tell. */
export interface Recorder {
  /** Whether there is room for another row; one that was read leaves some to changes. */
  hasRoom(kind: "change" | "read"): boolean;
  put(record: HistoryRecord): void;
}

/**
 * What happened to rows lately, for `tailrace trace`: gathered in memory and appended to files ten times a second. It is no part of any
 * promise: nobody waits for it, and rows that come faster than it takes them are left out and counted.
 */
export class History implements Recorder, AsyncDisposable {
  readonly #segments: Segments;
  readonly #log: Log;
  readonly #syncs = new Map<string, SyncHistory>();
  readonly #timer: NodeJS.Timeout;
  /** What may still be put, in characters. */
  #left = BURST;
  #lines: { readonly sync: string; readonly line: string }[] = [];
  #size = 0;
  #writing: Promise<void> = Promise.resolve();
  #busy = false;
  #failing = false;
  /** By sync: records that could not be written. */
  #lost = new Map<string, { rows: number; since: number }>();

  constructor({ path, bytes }: HistorySettings, log: Log) {
    this.#segments = new Segments(path, bytes);
    this.#log = log;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  observer(sync: string): Observer {
    const history = this.#syncs.get(sync) ?? new SyncHistory(sync, this);
    this.#syncs.set(sync, history);
    return history;
  }

  hasRoom(kind: "change" | "read"): boolean {
    return this.#left > (kind === "read" ? BURST / 2 : 0);
  }

  put(record: HistoryRecord): void {
    if (this.#size > MOST_WAITING) this.#lose(record.sync);
    else this.#add(record);
  }

  #lose(sync: string): void {
    const lost = this.#lost.get(sync);
    if (lost === undefined) this.#lost.set(sync, { rows: 1, since: Date.now() });
    else lost.rows += 1;
  }

  #add(record: HistoryRecord | HistoryGap): void {
    const line = lineOf(record);
    this.#lines.push({ sync: record.sync, line });
    this.#size += line.length;
    this.#left -= line.length;
  }

  #tick(): void {
    this.#left = Math.min(BURST, this.#left + (PER_SECOND * TICK_MS) / 1000);
    if (this.#busy) return;
    this.#tellGaps();
    if (this.#size > 0) this.#writing = this.#write();
  }

  #tellGaps(): void {
    const at = Date.now();
    for (const history of this.#syncs.values()) {
      const gap = history.gap(at);
      if (gap !== null) this.#add(gap);
    }
    for (const [sync, { rows, since }] of this.#lost)
      this.#add({ at, sync, what: "gap", rows, since, because: "disk" });
    this.#lost.clear();
  }

  async #write(): Promise<void> {
    const lines = this.#lines;
    this.#lines = [];
    this.#size = 0;
    this.#busy = true;
    try {
      await this.#segments.append(lines.map(({ line }) => line));
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) {
        this.#log.warn("the history for `tailrace trace` could not be written; delivery goes on without it", {
          error: TailraceError.from(error).message,
        });
      }
      this.#failing = true;
      for (const { sync } of lines) this.#lose(sync);
    } finally {
      this.#busy = false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    this.#tellGaps();
    if (this.#size > 0) await this.#write();
    await this.#segments[Symbol.asyncDispose]();
  }
}

const TICK_MS = 100;
/** Characters a second for long; more would take its share of the processor from the delivery. */
const PER_SECOND = 500_000;
/** A transaction of some hundred rows is kept whole. */
const BURST = 300_000;
const MOST_WAITING = 4_000_000;
