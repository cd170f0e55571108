// The tables of an index of rows in a PostgreSQL database, for the state there and for a source that keeps its own.

/** The tables' names as SQL, with their schema. */
export interface RowTables {
  readonly indexed_model: string;
  readonly indexed: string;
  readonly indexed_free: string;
  readonly indexed_part: string;
}

export type Row = Readonly<Record<string, string | null>>;

/** A connection in the middle of a transaction. */
export interface RowSession {
  rows(text: string, values?: readonly unknown[]): Promise<readonly Row[]>;
}
