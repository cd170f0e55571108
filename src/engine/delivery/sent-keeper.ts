import type { SentIndex, SentRecord } from "../../contracts/sent-index.ts";
import type { Sync } from "../../contracts/sync.ts";
import { UNCHANGED, type Values } from "../../contracts/values.ts";
import type { Mapping } from "../mapping/compile.ts";
import type { DeleteGuard } from "./delete-guard.ts";
import type { Entry } from "./entry.ts";
import { type Hold, isRemoval, type Keeper, type ThereAgain } from "./keeper.ts";

/**
 * Keeps the index of what was sent right, for one pipeline: a record is in it before it is sent, and until its removal was
 * accepted (docs/decisions/004-sent-index.md). And asks the guard before anything is removed.
 */
export class SentKeeper implements Keeper {
  readonly index: SentIndex;
  readonly generation: number;
  readonly #guard: DeleteGuard;
  readonly #hold: Hold;
  readonly #thereAgain: ThereAgain;
  /** Keys that were announced while somebody watches. */
  #watched: Set<string> | null = null;

  constructor(options: {
    readonly index: SentIndex;
    readonly generation: number;
    readonly guard: DeleteGuard;
    readonly hold: Hold;
    readonly thereAgain: ThereAgain;
  }) {
    this.index = options.index;
    this.generation = options.generation;
    this.#guard = options.guard;
    this.#hold = options.hold;
    this.#thereAgain = options.thereAgain;
  }

  async announce(entries: readonly Entry[], signal: AbortSignal): Promise<readonly Entry[]> {
    const records: SentRecord[] = [];
    const removals = new Map<string, Entry>();
    for (const entry of entries) {
      if (isRemoval(entry.op)) removals.set(entry.key, entry);
      else {
        const record = sentRecordOf(entry);
        if (record !== null) records.push(record);
      }
    }
    const needless = removals.size > 0 ? await this.#askGuard(removals, signal) : [];
    if (records.length === 0) return needless;
    // At the moment of the call, so that who watches and asks the index has each key from one of the two.
    for (const { key } of records) this.#watched?.add(key);
    this.#guard.added((await this.index.announce(records, this.generation)).added);
    return needless;
  }

  /** Removals that need not be sent: their records have their rows again, and stay. */
  async #askGuard(removals: ReadonlyMap<string, Entry>, signal: AbortSignal): Promise<readonly Entry[]> {
    const known = (await this.index.known([...removals.keys()])).map((key) => removals.get(key)!);
    const doubtful = this.#guard.doubtful(known, Date.now());
    const stay = new Set(doubtful.length > 0 ? await this.#thereAgain(doubtful, signal) : []);
    const tooMany = this.#guard.ask(
      known.filter((entry) => !stay.has(entry)),
      Date.now(),
    );
    if (tooMany !== null) await this.#hold("live", tooMany);
    return [...stay];
  }

  accepted(entries: readonly Entry[]): void {
    const removed = entries.filter(({ op }) => isRemoval(op));
    if (removed.length === 0) return;
    for (const entry of removed) this.#guard.finished(entry, true);
    // What stays in it by mistake is removed once more by the next resync; that is all.
    this.index.forget(removed.map(({ key }) => key)).catch(() => {});
  }

  rejected(entry: Entry): void {
    this.#guard.finished(entry, false);
  }

  /** What is told to the index is on its way in order: nothing is waited for, because too much in it does no harm. */
  async settle(): Promise<void> {}

  /** The keys that are announced from now on, until the next call. */
  watch(): ReadonlySet<string> {
    this.#watched = new Set();
    return this.#watched;
  }

  unwatch(): void {
    this.#watched = null;
  }
}

/** null: a record that cannot be found at the destination will not be taken there. */
function sentRecordOf(entry: Entry): SentRecord | null {
  const { key, mapping } = entry;
  const row = entry.after ?? entry.before!;
  const { identity } = mapping;
  if (!mapping.matchIsKey && !mapping.matchValues(row).every((value) => typeof value === "string")) return null;
  if (identity.length === 1 && row[identity[0]!] === key) return { key, identity: null };
  return { key, identity: identity.map((place) => String(row[place])) };
}

/** The row of a record, as far as the index knows it. */
export function rowOfRecord({ key, identity }: SentRecord, mapping: Mapping): Values {
  const known = identity ?? [key];
  return mapping.relation.columns.map((_, place) => known[mapping.identity.indexOf(place)] ?? UNCHANGED);
}

/** Whether a sync removes anything, and so must know what it sent. */
export function keepsIndex(sync: Sync): boolean {
  return sync.mode === "mirror" && sync.onDelete.kind !== "ignore";
}

/** What a sync's records are told apart by, and where they are: with another identity, they are other records. */
export function sentIdentity(sync: Sync, mapping: Mapping): string {
  const declared = mapping.match.map((field) => {
    const found = sync.map?.find((candidate) => candidate.field === field);
    if (found === undefined || found.kind === "constant") return [field];
    if (found.kind === "code") return [field, found.code.text, found.as];
    return [field, found.kind === "column" ? found.column : found.template, found.as];
  });
  const names = mapping.identity.map((place) => mapping.relation.columns[place]?.name);
  return JSON.stringify([sync.destination, sync.object, declared, names]);
}
