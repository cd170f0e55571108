import type { Model } from "./model.ts";

export type Mode = "upsert" | "mirror" | "insert" | "update" | "event";

/** What `mirror` does at the destination with a row that is gone from the model. */
export type OnDelete =
  | { readonly kind: "delete" }
  | { readonly kind: "clear" }
  | { readonly kind: "ignore" }
  | { readonly kind: "archive"; readonly fields: Readonly<Record<string, Constant>> };

/**
 * mode `mirror`: how many records may be removed before a person is asked: of a resync in all, of live deletes net within an hour.
 * `share`: of the records that the destination has, 0 to 1, and always {@link SMALL_DELETES}.
 */
export type MaxDeletes =
  | { readonly kind: "share"; readonly share: number }
  | { readonly kind: "rows"; readonly rows: number };

/** So few are never asked about when a share is set: of ten records three would be a third. */
export const SMALL_DELETES = 100;

export type Constant = string | number | boolean | null;

/** What becomes of a null: sent as null, left out, or the delivery is refused. */
export type NullPolicy = "send" | "omit" | "reject";

/** How a value is written to JSON when the column's own encoding is not wanted. */
export type As = "string" | "number" | "boolean" | "json";

/** A row's columns by name, each as the source prints it. */
export type NamedRow = Readonly<Record<string, string | null>>;

/** A function of the configuration over a row. */
export interface RowCode {
  readonly run: (row: NamedRow) => unknown;
  /** What it may read; null: every column. */
  readonly columns: readonly string[] | null;
  /** Its source, which is what tells it from another one. */
  readonly text: string;
}

export type FieldMapping = {
  /** The destination's field. */
  readonly field: string;
  readonly null: NullPolicy;
  readonly as: As | null;
  /** Where the configuration says it, for errors: `tailrace.yml:14:7`. */
  readonly at: string;
} & (
  | {
      readonly kind: "column";
      readonly column: string;
      /** Read the old row instead of the new one (`old.plan`). */ readonly old: boolean;
    }
  | { readonly kind: "constant"; readonly value: Constant }
  | { readonly kind: "template"; readonly template: string }
  | { readonly kind: "code"; readonly code: RowCode }
);

/** SQL, or the source of `code`. */
export interface Condition {
  readonly text: string;
  readonly at: string;
  readonly code?: RowCode | undefined;
}

export type EventOp = "insert" | "update" | "delete";

/** A checked sync: what the engine runs. It does not know whether YAML or TypeScript declared it. */
export interface Sync {
  readonly name: string;
  readonly model: Model;
  /** The name of its destination in the configuration. */
  readonly destination: string;
  /** The destination's object: a table, `contacts`; null where the destination has only one. */
  readonly object: string | null;
  readonly mode: Mode;
  readonly onDelete: OnDelete;
  readonly maxDeletes: MaxDeletes;
  /** mode `event`: the operations that make an event. */
  readonly on: readonly EventOp[];
  /** The destination's field that identifies a record; null: the fields that the key columns are mapped to. */
  readonly match: string | null;
  readonly where: Condition | null;
  /** null: every column, under its own name. */
  readonly map: readonly FieldMapping[] | null;
  /** Whether the rows that exist are sent first. */
  readonly backfill: boolean;
  readonly batch: BatchSettings;
  readonly onTruncate: "stop" | "ignore";
  /** When continuity cannot be proven: wait for a person, or send every row again from the present state. */
  readonly onGap: "stop" | "resync";
  /** Before rows that were sent are sent again because something else is made of them: wait for a person, or not. */
  readonly onMappingChange: "ask" | "resend";
  /** What becomes of a column that the source did not send because it did not change. */
  readonly unchanged: "omit" | "fetch" | "auto";
  /** `row-permanent` after this many attempts of one row while others are accepted. */
  readonly attempts: number;
  /** Lag beyond which it is behind, in ms; null: it never is. */
  readonly maxLagMs: number | null;
  /** How long it may wait for its destination or source before that is told, in ms. */
  readonly maxWaitMs: number;
  /** Rejected rows of all rows lately beyond which that is told, 0 to 1. */
  readonly failureShare: number;
  /** The destination's own settings for this sync (webhook: method, path); checked by its schema. */
  readonly options: unknown;
  /** Where the configuration declares it: `tailrace.yml:10:3`. */
  readonly at: string;
}

/** Each null: the destination's own. */
export interface BatchSettings {
  readonly rows: number | null;
  readonly bytes: number | null;
  /** How long a batch that is not full waits for more, in ms. */
  readonly ageMs: number | null;
}
