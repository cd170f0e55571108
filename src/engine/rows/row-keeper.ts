import type { RowIndex, SentRow } from "../../contracts/row-index.ts";
import type { DeleteGuard } from "../delivery/delete-guard.ts";
import { contentId, rowId } from "../delivery/delivery.ts";
import type { Entry } from "../delivery/entry.ts";
import { type Hold, isRemoval, type Keeper } from "../delivery/keeper.ts";
import type { Observer } from "../observer.ts";
import { saidBy } from "./said.ts";

interface Version {
  readonly key: string;
  readonly version: number;
}

/**
 * Keeps the index of rows right, for one pipeline: what is said of a row is in it before it is sent, and confirmed when it was accepted. The
 * delivery's id is made of the version that the index gives it, so that the same has the same id after a crash.
 */
export class RowKeeper implements Keeper {
  readonly #sync: string;
  readonly #index: RowIndex;
  /** null: nothing is ever removed at the destination. */
  readonly #guard: DeleteGuard | null;
  readonly #hold: Hold;
  readonly #observer: Observer;
  readonly #announced = new WeakMap<Entry, Version>();
  /** Accepted, and not confirmed because the index could not be written; by key. */
  #unconfirmed = new Map<string, Version>();
  #confirming: Promise<unknown> = Promise.resolve();

  constructor(options: {
    readonly sync: string;
    readonly index: RowIndex;
    readonly guard: DeleteGuard | null;
    readonly hold: Hold;
    readonly observer: Observer;
  }) {
    this.#sync = options.sync;
    this.#index = options.index;
    this.#guard = options.guard;
    this.#hold = options.hold;
    this.#observer = options.observer;
  }

  async announce(entries: readonly Entry[]): Promise<readonly Entry[]> {
    const fresh = entries.filter((entry) => !this.#announced.has(entry));
    if (fresh.length === 0) return [];
    if (this.#guard !== null) await this.#askGuard(this.#guard, fresh);
    for (let left = fresh; left.length > 0;) {
      // One of each row at a time: there may be several events of a row in one request.
      const rows = new Map<string, { readonly entry: Entry; readonly row: SentRow }>();
      const later: Entry[] = [];
      for (const entry of left) {
        const said = saidBy(entry);
        if (said === null) continue;
        if (!said.indexed) entry.readId = contentId(this.#sync, said.row.key, said.row.hash!);
        else if (rows.has(said.row.key)) later.push(entry);
        else rows.set(said.row.key, { entry, row: said.row });
      }
      left = later;
      if (rows.size > 0) await this.#announce([...rows.values()]);
    }
    for (const entry of fresh) if (entry.observed) this.#observer.read(entry, saidBy(entry)?.by ?? "retry");
    this.#guard?.counted(this.#index.rows);
    return [];
  }

  async #announce(rows: readonly { readonly entry: Entry; readonly row: SentRow }[]): Promise<void> {
    const versions = await this.#index.announce(rows.map(({ row }) => row));
    rows.forEach(({ entry, row: { key } }, place) => {
      const version = versions[place]!;
      this.#announced.set(entry, { key, version });
      entry.readId ??= rowId(this.#sync, key, version);
    });
  }

  async #askGuard(guard: DeleteGuard, entries: readonly Entry[]): Promise<void> {
    const removals = entries.filter(({ op }) => isRemoval(op));
    if (removals.length === 0) return;
    const found = await this.#index.find(removals.map(({ rowKey }) => rowKey));
    const tooMany = guard.ask(
      removals.filter((_, place) => found[place] !== null),
      Date.now(),
    );
    if (tooMany !== null) await this.#hold("live", tooMany);
  }

  /** An entry says again what a dead letter kept, which was announced at this version: it must not be taken for something newer. */
  repeats(entry: Entry, version: number): void {
    this.#announced.set(entry, { key: entry.rowKey, version });
  }

  accepted(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (isRemoval(entry.op)) this.#guard?.finished(entry, true);
      const announced = this.#announced.get(entry);
      if (announced !== undefined) this.#unconfirmed.set(announced.key, announced);
    }
    this.#confirm();
  }

  rejected(entry: Entry): void {
    this.#guard?.finished(entry, false);
  }

  /** At once, so that whoever asks the index after an entry was finished finds it confirmed. */
  #confirm(): void {
    const rows = this.#unconfirmed;
    if (rows.size === 0) return;
    this.#unconfirmed = new Map();
    const confirmed = this.#index.confirm([...rows.values()]).catch(() => {
      for (const [key, row] of rows) if (!this.#unconfirmed.has(key)) this.#unconfirmed.set(key, row);
    });
    this.#confirming = Promise.all([this.#confirming, confirmed]);
  }

  async settle(): Promise<void> {
    this.#confirm();
    await this.#confirming;
  }
}
