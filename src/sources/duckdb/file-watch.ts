// Which state the files are in, and which of them were written since another one.
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Position } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { isPattern, seeFiles } from "./files.ts";
import { digestOf, endOf, type State, stateOf } from "./position.ts";

/** Files whose changes are told as one relation. */
export interface Watched {
  readonly kind: "database" | "attached" | "view" | "file";
  readonly name: string;
  readonly patterns: readonly string[];
  /** A database's own file is whole whenever it can be opened; a data file is not until it rests. */
  readonly settles: boolean;
}

/** The id of the relation. */
export function idOf({ kind, name }: Pick<Watched, "kind" | "name">): string {
  return `${kind}:${name}`;
}

/** Longer than this nobody waits for files to rest. */
const RESTLESS_MS = 60_000;

interface Seen {
  readonly digest: string;
  /** When this content was first seen. */
  readonly position: Position;
}

/** One for a source and its branches, so that a state has one position for all of them. */
export class FileWatch {
  readonly #list: () => Promise<readonly Watched[]>;
  readonly #settleMs: number;
  readonly #seen = new Map<string, Seen>();
  #state: State | null = null;
  #looking: Promise<number> | null = null;

  /** `list`: what is watched, as things are now. `settleMs`: a file that was written within this time is not taken yet. */
  constructor(list: () => Promise<readonly Watched[]>, settleMs: number) {
    this.#list = list;
    this.#settleMs = settleMs;
  }

  /** The end of the newest state. Only after {@link begin}, or a look. */
  get position(): Position {
    if (this.#state === null) throw new TailraceError("internal.defect", "the files were not looked at yet");
    return endOf(this.#state);
  }

  /**
   * Takes up positions of earlier processes: where the files are as the newest of them says, it is the position still, else
   * every relation has changed.
   */
  async begin(stored: readonly Position[], signal: AbortSignal): Promise<void> {
    if (this.#state === null) {
      const [newest] = [...stored].sort().reverse();
      this.#state = newest === undefined ? null : stateOf(newest);
    }
    await this.rest(signal);
  }

  /** Resolves when all that was written is old enough, and seen. */
  async rest(signal: AbortSignal): Promise<void> {
    const end = Date.now() + Math.max(RESTLESS_MS, 2 * this.#settleMs);
    for (;;) {
      signal.throwIfAborted();
      const waitMs = await this.look();
      if (waitMs === 0) return;
      if (Date.now() > end)
        throw new TailraceError("source.data", "a data file has been written to all the time, and is never seen whole");
      await delay(waitMs, undefined, { signal });
    }
  }

  /** Ids of the relations whose files were written after this position. */
  changedAfter(position: Position): readonly string[] {
    return [...this.#seen].filter(([, seen]) => seen.position > position).map(([id]) => id);
  }

  /** Looks once; calls at the same time share one look. Returns how long to wait until all files are at rest: 0, they are. */
  look(): Promise<number> {
    this.#looking ??= this.#look().finally(() => (this.#looking = null));
    return this.#looking;
  }

  async #look(): Promise<number> {
    const before = this.#state;
    const found = new Map<string, string>();
    let waitMs = 0;
    for (const watched of await this.#list()) {
      const { patterns, settles } = watched;
      const id = idOf(watched);
      const { digest, newestMs } = await seeFiles(patterns);
      const known = this.#seen.get(id);
      const restMs = settles && known?.digest !== digest ? newestMs + this.#settleMs - Date.now() : 0;
      waitMs = Math.max(waitMs, Math.min(restMs, this.#settleMs));
      const taken = restMs > 0 ? known?.digest : digest;
      if (taken !== undefined) found.set(id, taken);
    }
    const changed = [...found].filter(([id, digest]) => this.#seen.get(id)?.digest !== digest);
    const gone = [...this.#seen.keys()].filter((id) => !found.has(id));
    if (changed.length + gone.length === 0 && before !== null) return waitMs;
    // On the first look nothing is known yet of what is not at rest.
    if (before === null && waitMs > 0) return waitMs;
    const digest = digestOf(found);
    const state: State =
      before !== null && this.#seen.size === 0 && before.digest === digest
        ? before
        : { seenMs: Math.max(Date.now(), (before?.seenMs ?? 0) + 1), digest };
    this.#state = state;
    const position = endOf(state);
    for (const id of gone) this.#seen.delete(id);
    for (const [id, each] of changed) this.#seen.set(id, { digest: each, position });
    return waitMs;
  }

  /** Those that hold what is watched, where they exist. */
  async folders(): Promise<ReadonlySet<string>> {
    const folders = new Set<string>();
    for (const { patterns } of await this.#list()) {
      for (const pattern of patterns) {
        let folder = dirname(pattern);
        while (isPattern(folder)) folder = dirname(folder);
        if (
          await stat(folder).then(
            (found) => found.isDirectory(),
            () => false,
          )
        )
          folders.add(folder);
      }
    }
    return folders;
  }
}
