import type { Position } from "../../contracts/change.ts";
import type { SnapshotChunk } from "../../contracts/source.ts";

/**
 * Joins rows that were read (a backfill, a re-read) to the stream of changes, so that neither overwrites what is newer.
 *
 * Rows and changes travel different ways: a chunk of rows is a snapshot of its own, and the stream is at some other
 * place when the rows arrive. By asking the snapshot which transactions it sees, every case is decided exactly:
 *
 * - A transaction that the stream has delivered and the snapshot does not see (it committed after the snapshot; or it was in the
 *   log already but not yet visible): for the keys that it changed, the rows in the chunk are older than what was sent.
 *   They are left out; when the change was partial (a column that did not change was not sent), the row is read again.
 * - A transaction that the snapshot sees and the stream has not delivered yet: the rows contain it. When the stream
 *   brings it, its changes to these keys are suppressed; they would set the row back for a moment.
 *
 * For this, what the stream delivers is noted, by transaction, from {@link begin} on; the source must have settled after that and
 * before the first chunk is read, so that an earlier transaction cannot be missing in any chunk.
 */
export class Seam {
  /** Delivered by the stream, and not yet known to be visible: transaction → its keys → whether partial. */
  readonly #delivered = new Map<string, Map<string, boolean>>();
  /**
   * Keys that the stream has brought as new: in the modes in which a row is told once (`insert`, `event`), a chunk must not tell them
   * again. null: there is nothing that would.
   */
  created: Set<string> | null = null;
  #admitted: { readonly keys: ReadonlySet<string>; readonly chunk: SnapshotChunk }[] = [];
  #users = 0;
  #waiting: (() => void)[] = [];

  /** Whether changes must be shown to {@link observe} and {@link suppresses}. */
  get active(): boolean {
    return this.#users > 0 || this.#admitted.length > 0;
  }

  /** How many delivered transactions are noted. When it is large, any chunk (even an empty one) of the only reader clears it. */
  get noted(): number {
    return this.#delivered.size;
  }

  /** A reader begins, whose chunks are read one after the other: what the stream delivers is noted. Each call needs one of {@link end}. */
  begin(): void {
    this.#users += 1;
  }

  end(): void {
    this.#users -= 1;
    if (this.#users === 0) this.#delivered.clear();
  }

  observe(transaction: string, key: string, partial: boolean): void {
    if (this.#users === 0) return;
    let keys = this.#delivered.get(transaction);
    if (keys === undefined) {
      keys = new Map();
      this.#delivered.set(transaction, keys);
    }
    keys.set(key, partial || (keys.get(key) ?? false));
  }

  /** Whether rows that were sent contain this change already. */
  suppresses(transaction: string, key: string): boolean {
    for (const { keys, chunk } of this.#admitted) if (keys.has(key) && chunk.sees(transaction)) return true;
    return false;
  }

  /** The stream has delivered everything up to here. */
  passed(end: Position): void {
    if (this.#admitted.length > 0) this.#admitted = this.#admitted.filter(({ chunk }) => chunk.high > end);
    for (const go of this.#waiting.splice(0)) go();
  }

  /** Resolves when the stream has come further, or `signal` aborts. */
  moved(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const go = (): void => {
        signal.removeEventListener("abort", go);
        resolve();
      };
      this.#waiting.push(go);
      signal.addEventListener("abort", go);
    });
  }

  /**
   * Takes a chunk into the order of things, at this very moment of the stream: no change may be delivered between this call
   * and the queueing of the rows. Of the chunk's `keys` it returns those whose rows are to be sent (`fresh`) and those
   * that must be read again (`stale`); the rest has been overtaken by newer changes.
   */
  admit(chunk: SnapshotChunk, keys: readonly string[]): { fresh: ReadonlySet<string>; stale: readonly string[] } {
    const overtaken = new Map<string, boolean>();
    for (const [transaction, changed] of this.#delivered) {
      if (chunk.sees(transaction)) {
        // Each snapshot of one reader sees what the one before saw; a chunk that another is still waiting for may not.
        if (this.#users === 1) this.#delivered.delete(transaction);
      } else for (const [key, partial] of changed) overtaken.set(key, partial || (overtaken.get(key) ?? false));
    }
    const fresh = new Set<string>();
    const stale: string[] = [];
    for (const key of keys) {
      const partial = overtaken.get(key);
      if (partial === undefined) fresh.add(key);
      else if (partial) stale.push(key);
    }
    if (fresh.size > 0) this.#admitted.push({ keys: fresh, chunk });
    return { fresh, stale };
  }
}
