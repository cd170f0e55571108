import { DELIVERED, type Delivery, type Outcome } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";

const UNACCOUNTED: Outcome = {
  status: "retry",
  error: new TailraceError("destination.unavailable", "The answer does not account for this row"),
};

const RANK = { delivered: 0, retry: 1, rejected: 2 } as const;

/**
 * Gathers the outcomes of a batch from what an answer says. What it does not say is never success, unless the vendor's own
 * description says that it lists failures only.
 */
export class Outcomes {
  readonly #outcomes: (Outcome | undefined)[];
  #unattributed: Outcome | null = null;

  constructor(rows: readonly Delivery[]) {
    this.#outcomes = Array.from({ length: rows.length });
  }

  /** Of the row at this place of the batch; said twice, the worse holds. A place that there is not is {@link someRow}'s. */
  set(place: number | undefined, outcome: Outcome): void {
    if (place === undefined || !Number.isInteger(place) || place < 0 || place >= this.#outcomes.length) {
      if (outcome.status !== "delivered") this.someRow(outcome);
      return;
    }
    const before = this.#outcomes[place];
    if (before === undefined || RANK[before.status] < RANK[outcome.status]) this.#outcomes[place] = outcome;
  }

  delivered(place: number | undefined): void {
    this.set(place, DELIVERED);
  }

  /** A row fared so, and it is not said which: those of which nothing is said are sent again. */
  someRow(outcome: Outcome): void {
    this.#unattributed ??= outcome;
  }

  /** Every row that is not accounted for is sent again. */
  whereSaid(): readonly Outcome[] {
    const otherwise = this.#otherwise();
    return this.#outcomes.map((outcome) => outcome ?? otherwise);
  }

  /** The vendor lists failures only: what is not listed is delivered, when every failure could be told whose it is. */
  unlessSaid(): readonly Outcome[] {
    const otherwise = this.#unattributed === null ? DELIVERED : this.#otherwise();
    return this.#outcomes.map((outcome) => outcome ?? otherwise);
  }

  #otherwise(): Outcome {
    const found = this.#unattributed;
    // Alone, it can only be this one.
    if (found !== null && this.#outcomes.length === 1) return found;
    return UNACCOUNTED;
  }
}

/** The places of rows by a key of the vendor's answer. A key that several rows have leads to none of them. */
export function placesBy(rows: readonly Delivery[], keyOf: (row: Delivery) => string): ReadonlyMap<string, number> {
  const places = new Map<string, number>();
  const twice = new Set<string>();
  for (const [place, row] of rows.entries()) {
    const key = keyOf(row);
    if (places.has(key)) twice.add(key);
    places.set(key, place);
  }
  for (const key of twice) places.delete(key);
  return places;
}

export function allDelivered(rows: readonly Delivery[]): readonly Outcome[] {
  return rows.map(() => DELIVERED);
}

/** The text of a row's match field. A record without one has not come this far. */
export function matchText(row: Delivery, place = 0): string {
  const value = row.match[place];
  if (typeof value === "string") return value;
  throw new TailraceError("delivery.no_match", "The value of the match field is null or was not sent.");
}
