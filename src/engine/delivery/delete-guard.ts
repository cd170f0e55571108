import { TailraceError } from "../../contracts/errors.ts";
import type { HeldDeletes } from "../../contracts/state.ts";
import { type MaxDeletes, SMALL_DELETES } from "../../contracts/sync.ts";
import type { Entry } from "./entry.ts";

/**
 * Stops a mirror that is about to remove more of its records than `max_deletes` allows. What counts is how far the number of
 * records falls below the most that there were within an hour, so that rows which come and go are not taken for a loss. Lives as long
 * as the process; {@link begin} is called for each pipeline.
 */
export class DeleteGuard {
  readonly #max: MaxDeletes;
  /** Records at the destination now; and the most there were since {@link #sinceMs}. */
  #rows = 0;
  #peak = 0;
  #sinceMs = 0;
  /** Removals on their way of records that are there, and whether each counts. */
  readonly #underWay = new Map<Entry, boolean>();
  #counted = 0;
  /** Removals committed until then are approved, µs since the epoch by the source's clock. */
  #approvedUntil = 0n;
  #approval = "";

  constructor(max: MaxDeletes) {
    this.#max = max;
  }

  begin(rows: number, held: HeldDeletes | null, nowMs: number): void {
    this.#rows = rows;
    this.#underWay.clear();
    this.#counted = 0;
    this.#look(nowMs);
    this.#peak = Math.max(rows, this.#peak);
    if (held?.by !== "live") return;
    if (!held.approved) {
      // Nobody has approved of what was held: it is held again.
      this.#peak = Math.max(this.#peak, held.of);
      this.#sinceMs = nowMs;
    } else if (this.#approval !== held.until) {
      this.#approval = held.until ?? "";
      this.#approvedUntil = BigInt(held.until ?? 0);
      this.#peak = rows;
    }
  }

  /** How many of `rows` records may be removed. */
  allowed(rows: number): number {
    const max = this.#max;
    return max.kind === "rows" ? max.rows : Math.max(SMALL_DELETES, Math.floor(max.share * rows));
  }

  /** Records were sent that had not been there. */
  added(count: number): void {
    this.#rows += count;
    this.#peak = Math.max(this.#peak, this.#rows);
  }

  /** So many there are now. */
  counted(rows: number): void {
    this.added(rows - this.#rows);
  }

  /**
   * Of these removals, those of which it is worth asking whether their rows are there again, before anything is said of them: they
   * count, and with them more than a tenth of what may go would be gone.
   */
  doubtful(removals: readonly Entry[], nowMs: number): readonly Entry[] {
    this.#look(nowMs);
    const counted = removals.filter((entry) => !this.#underWay.has(entry) && this.#counts(entry));
    const allowed = this.allowed(this.#peak);
    return allowed < this.#peak && this.#goneWith(counted) > allowed / 10 ? counted : [];
  }

  /**
   * Whether these removals of records that are there may be sent; those that may are under way from now on. Else null, or how
   * many of how many are too many.
   */
  ask(removals: readonly Entry[], nowMs: number): { readonly rows: number; readonly of: number } | null {
    this.#look(nowMs);
    const fresh = removals.filter((entry) => !this.#underWay.has(entry));
    const counted = fresh.filter((entry) => this.#counts(entry));
    const gone = this.#goneWith(counted);
    if (counted.length > 0 && gone > this.allowed(this.#peak)) return { rows: gone, of: this.#peak };
    for (const entry of fresh) this.#underWay.set(entry, false);
    for (const entry of counted) this.#underWay.set(entry, true);
    this.#counted += counted.length;
    return null;
  }

  /** It was accepted, or rejected. */
  finished(entry: Entry, accepted: boolean): void {
    const counts = this.#underWay.get(entry);
    if (counts === undefined) return;
    this.#underWay.delete(entry);
    if (counts) this.#counted -= 1;
    if (!accepted) return;
    this.#rows -= 1;
    if (!counts) this.#peak -= 1;
  }

  #goneWith(counted: readonly Entry[]): number {
    return this.#peak - this.#rows + this.#counted + counted.length;
  }

  #look(nowMs: number): void {
    if (nowMs - this.#sinceMs <= WINDOW_MS) return;
    this.#sinceMs = nowMs;
    this.#peak = this.#rows;
  }

  /** A row that only changed its key is no loss; what a resync or a person removes is asked about elsewhere. */
  #counts({ transaction, half }: Entry): boolean {
    return transaction !== null && half === "" && transaction.committedAt > this.#approvedUntil;
  }
}

/** What the sync stops with. */
export function tooManyDeletes(held: HeldDeletes, max: MaxDeletes): TailraceError {
  const limit = max.kind === "rows" ? String(max.rows) : `${max.share * 100} %`;
  const percent = `${((held.rows / Math.max(1, held.of)) * 100).toFixed(1).replace(/\.0$/, "")} %`;
  const what =
    held.by === "resync"
      ? `the resync would remove ${held.rows} of ${held.of} records (${percent}) whose rows are gone`
      : held.by === "diff"
        ? `the comparison would remove ${held.rows} of ${held.of} records (${percent}) whose rows are gone`
        : `about ${held.rows} of ${held.of} records (${percent}) would be removed within an hour, because their rows were deleted`;
  return new TailraceError("delivery.too_many_deletes", `${what}; \`max_deletes\` is ${limit}`);
}

const WINDOW_MS = 3_600_000;
