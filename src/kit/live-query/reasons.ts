// Why a query cannot be followed live.

export interface Reason {
  /** What in the query, as a noun. */
  readonly construct: string;
  /** `line 3, column 7` of the model's SQL; null: nowhere in particular. */
  readonly place: string | null;
  readonly advice: string;
}

/** The query has something that makes following it unsound. */
export class NotLive extends Error {
  readonly construct: string;
  readonly advice: string;
  readonly place: string | null;

  constructor(construct: string, advice: string, place: string | null = null) {
    super(construct);
    this.construct = construct;
    this.advice = advice;
    this.place = place;
  }
}

/** Throws what says nothing of the query. */
export function reasonOf(error: unknown): Reason {
  if (!(error instanceof NotLive)) throw error;
  const { construct, place, advice } = error;
  return { construct, place, advice };
}
