/** A named relation with a key that syncs read. */
export type Model = TableModel | QueryModel;

interface NamedModel {
  readonly name: string;
  /** The name of its source in the configuration. */
  readonly source: string;
  /** When it is compared with what was last sent, where nothing else can follow it. */
  readonly diff: DiffSettings;
}

/** A table, as the source has it. */
export interface TableModel extends NamedModel {
  readonly kind: "table";
  readonly table: TableName;
  /** Declared key columns; null: the table's primary key. */
  readonly key: readonly string[] | null;
}

/** Any SELECT. */
export interface QueryModel extends NamedModel {
  readonly kind: "query";
  /** One SELECT in the source's own dialect, without a semicolon. */
  readonly sql: string;
  /** The result's columns that tell its rows apart; never null in any row. */
  readonly key: readonly string[];
  /** `diff`: compared, even where it could be followed live. */
  readonly capture: "auto" | "diff";
  /** How long changes of its tables are gathered before the rows that they affect are read, in ms. */
  readonly windowMs: number;
}

export interface TableName {
  /** null: the source's own default (PostgreSQL: `public`). A warehouse's may have two parts: `catalog.schema`. */
  readonly namespace: string | null;
  readonly name: string;
}

export interface DiffSettings {
  /** null: only when the log, or whoever asks, says so. */
  readonly schedule: Schedule | null;
  /** Whether a change of its tables makes it due, where the log tells of them. False: on its schedule alone, or others take their place, which the log loses. */
  readonly whenChanged: boolean;
  /** Where what was last sent is kept: in the source's own database, or here. `auto`: there, where it may write. */
  readonly state: "auto" | "source" | "local";
}

/** What a model has that says nothing of it. */
export const ON_DEMAND: DiffSettings = { schedule: null, whenChanged: true, state: "auto" };

export type Schedule =
  | { readonly kind: "every"; readonly ms: number }
  /** `timezone`: an IANA name. */
  | { readonly kind: "cron"; readonly expression: string; readonly timezone: string };
