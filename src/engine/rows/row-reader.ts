import { setTimeout as delay } from "node:timers/promises";
import { TailraceError } from "../../contracts/errors.ts";
import type { RowIndex } from "../../contracts/row-index.ts";
import type { KeyValues, SnapshotChunk } from "../../contracts/source.ts";
import type { Values } from "../../contracts/values.ts";
import type { CaptureHost } from "../capture/capturing.ts";
import { duplicateId, keyOf, keyOfTexts } from "../delivery/delivery.ts";
import type { Item } from "../progress/ack-tracker.ts";
import type { Mapping } from "../mapping/compile.ts";
import type { Comparison, Purpose, ReadRow } from "./comparison.ts";
import { contentOf, hashOf } from "./hashed-columns.ts";
import { mappingChanged } from "./mapping-changed.ts";
import { unseenMs } from "./persist.ts";

/** Reads rows by their keys, and compares them with what was sent. */
export class RowReader {
  readonly #host: CaptureHost;
  readonly #comparison: Comparison;
  readonly #index: RowIndex;
  readonly #told = new Set<string>();
  /** Of the first rows that were read. */
  #content: string | null = null;

  constructor(host: CaptureHost, comparison: Comparison, index: RowIndex) {
    this.#host = host;
    this.#comparison = comparison;
    this.#index = index;
  }

  /** Within a turn. `transactions`: what the snapshots must see. `itemOf`: what is finished when all that is to be said of a row is. */
  async read(
    keys: ReadonlyMap<string, KeyValues>,
    itemOf: (key: string) => Item,
    transactions: Iterable<string>,
    purpose: Purpose,
    signal: AbortSignal,
  ): Promise<void> {
    const seen = [...transactions];
    const all = [...keys.values()];
    for (let at = 0; at < all.length; at += KEYS_A_LOOKUP) {
      if (at > 0) await this.room(signal);
      const asked = all.slice(at, at + KEYS_A_LOOKUP);
      const chunk = await this.lookup(asked, seen, signal);
      const { mapping, rows } = this.rowsOf(chunk);
      const read: ReadRow[] = [];
      for (const values of asked) {
        const key = keyOfTexts(values);
        read.push({ key, mapping, values: rows.get(key) ?? null, item: itemOf(key) });
        rows.delete(key);
      }
      // The source prints a key in another way than it was asked for.
      for (const [key, values] of rows) read.push({ key, mapping, values, item: itemOf(key) });
      await this.#comparison.take(read, purpose, signal);
    }
  }

  /** The rows of these keys, from a snapshot that sees these transactions. */
  async lookup(keys: readonly KeyValues[], seen: readonly string[], signal: AbortSignal): Promise<SnapshotChunk> {
    const { source, sync } = this.#host;
    for (let asked = 1; ; asked += 1) {
      const chunk = await source.lookup(sync.model, keys, signal);
      if (seen.every((transaction) => chunk.sees(transaction))) return chunk;
      await delay(unseenMs(asked), undefined, { signal });
    }
  }

  /** The rows of a chunk by their keys, in its order. Of several with one key, the same one each time. */
  rowsOf(chunk: SnapshotChunk): { readonly mapping: Mapping; readonly rows: Map<string, Values> } {
    const { sync, mappings } = this.#host;
    const mapping = mappings.for(chunk.relation);
    const content = contentOf(sync, mapping);
    this.#content ??= content;
    if (content !== this.#content)
      throw mappingChanged(sync.name, this.#index.rows, `Model \`${sync.model.name}\` has other columns now`);
    const rows = new Map<string, Values>();
    for (const values of chunk.rows) {
      const key = this.#keyOf(mapping, values);
      const other = rows.get(key);
      if (other === undefined) rows.set(key, values);
      else {
        this.repeated(mapping, key, values);
        if (hashOf(sync, mapping, values) < hashOf(sync, mapping, other)) rows.set(key, values);
      }
    }
    return { mapping, rows };
  }

  #keyOf(mapping: Mapping, values: Values): string {
    const { relation } = mapping;
    const place = relation.key.find((column) => typeof values[column] !== "string");
    if (place === undefined) return keyOf(relation, values);
    throw new TailraceError(
      "source.model",
      `A row of model \`${this.#host.sync.model.name}\` has no value in its key column \`${relation.columns[place]!.name}\`; it cannot be told apart from others.`,
    );
  }

  /** Another row has the same key: kept as a dead letter, once for as long as the pipeline lives. */
  repeated(mapping: Mapping, key: string, values: Values): void {
    if (this.#told.has(key)) return;
    this.#told.add(key);
    const { relation } = mapping;
    const { sync } = this.#host;
    const columns = relation.key.map((place) => relation.columns[place]!.name).join(", ");
    this.#host.deadLetter({
      id: duplicateId(sync.name, key),
      key: relation.key.map((place) => String(values[place])),
      op: "read",
      position: this.#host.checkpoint.position,
      code: "source.duplicate_key",
      message: `More than one row of model \`${sync.model.name}\` has this key (${columns}); one of them is sent.`,
      answer: null,
      attempts: 0,
      failedAtMs: Date.now(),
      payload: null,
    });
  }

  /** That several rows have this key is to be told again, if it is still so. */
  tellAgain(key: string): void {
    this.#told.delete(key);
  }

  /** What is read waits at the source, not in memory, while the destination is busy. */
  async room(signal: AbortSignal): Promise<void> {
    const { queue, budgetBytes } = this.#host;
    while (queue.bytes > budgetBytes / 2) await delay(ROOM_POLL_MS, undefined, { signal });
  }
}

const KEYS_A_LOOKUP = 2_000;
const ROOM_POLL_MS = 10;
