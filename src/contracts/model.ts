/** A named relation with a primary key that syncs read. */
export interface Model {
  readonly name: string;
  /** The name of its source in the configuration. */
  readonly source: string;
  readonly table: TableName;
  /** Declared key columns; null: the table's primary key. */
  readonly key: readonly string[] | null;
}

export interface TableName {
  /** null: the source's own default (PostgreSQL: `public`). */
  readonly namespace: string | null;
  readonly name: string;
}
