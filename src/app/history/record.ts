import type { Relation } from "../../contracts/relation.ts";
import { UNCHANGED, type Values } from "../../contracts/values.ts";
import type { ReadBy } from "../../engine/observer.ts";

/** A row's columns as texts; one that the source did not send is left out, a long one is cut. */
export type Row = Readonly<Record<string, string | null>>;

/** One line of the history: something that happened to a row of a sync. */
export type HistoryRecord = {
  /** ms since the epoch, our clock. */
  readonly at: number;
  readonly sync: string;
  readonly key: readonly string[];
} & (
  | {
      readonly what: "captured";
      readonly op: string;
      readonly position: string;
      /** ms since the epoch, the source's clock. */
      readonly committedAt: number;
      /** The key that the row had before, where the change gave it another. */
      readonly was?: readonly string[] | undefined;
      readonly old: Row | null;
      readonly new: Row | null;
      readonly unsent: "where" | "other" | null;
    }
  | { readonly what: "read"; readonly by: ReadBy; readonly id: string; readonly new: Row | null }
  | {
      readonly what: "sent";
      readonly id: string;
      readonly op: string;
      readonly attempt: number;
      /** How many rows the request has. */
      readonly rows: number;
      /** The mapped record's JSON. */
      readonly record: string;
    }
  | { readonly what: "delivered" | "needless"; readonly id: string }
  | { readonly what: "failed"; readonly id: string; readonly code: string; readonly message: string }
  | {
      readonly what: "rejected";
      readonly id: string;
      readonly code: string;
      readonly message: string;
      readonly answer: string | null;
      readonly attempts: number;
      /** The row, where nothing was told of it before. */
      readonly old?: Row | null | undefined;
      readonly new?: Row | null | undefined;
    }
);

/** Rows of a sync of which nothing is kept, though they came. */
export interface HistoryGap {
  readonly at: number;
  readonly sync: string;
  readonly what: "gap";
  /** `rate`: rows; `disk`: records of rows. */
  readonly rows: number;
  /** ms since the epoch: when the first of them came. */
  readonly since: number;
  /** `rate`: they came faster than rows are kept. `disk`: they could not be written. */
  readonly because: "rate" | "disk";
}

/** As it stands in the file: `sync` and `key` come first, so that a line can be told before it is parsed. */
export function lineOf(record: HistoryRecord | HistoryGap): string {
  return `${JSON.stringify(record)}\n`;
}

/** How a record's line begins to tell what it is about, for finding it. */
export function keyText(key: readonly string[]): string {
  return JSON.stringify(key);
}

export function rowOf(relation: Relation, values: Values | null): Row | null {
  if (values === null) return null;
  const row: Record<string, string | null> = {};
  for (const [place, { name }] of relation.columns.entries()) {
    const value = values[place];
    if (value !== UNCHANGED && value !== undefined) row[name] = value === null ? null : cut(value, LONGEST_VALUE);
  }
  return row;
}

export function cut(text: string, longest: number): string {
  return text.length <= longest ? text : `${text.slice(0, longest)}… (${text.length} characters)`;
}

/** Characters. A history is for looking at; what is longer is at the source. */
const LONGEST_VALUE = 500;
export const LONGEST_RECORD = 4_000;
