// What `tailrace.config.ts` imports as `tailrace`.
import type * as z from "zod";
import type { NamedRow } from "../../contracts/sync.ts";
import type { field, project, sync } from "./schema.ts";

/** A row's columns by name; every value is the text that the source prints, or null. */
export type Row = NamedRow;

/** What a field gets: a text, or null. Neither a promise nor a number: `as: "number"` says how a text is written. */
export type RowValue = (row: Row) => string | null;

/** Whether a row is in the sync. */
export type RowCondition = (row: Row) => boolean;

export type FieldConfig = Omit<z.input<typeof field>, "template"> & { readonly template?: string | RowValue };

export type SyncConfig = Omit<z.input<typeof sync>, "map" | "where"> & {
  readonly map?: "*" | readonly string[] | Readonly<Record<string, string | RowValue | FieldConfig>>;
  readonly where?: string | RowCondition;
};

/** Of one connector; which settings there are, docs/ says for each. */
export interface ConnectionConfig {
  readonly type: string;
  readonly [setting: string]: unknown;
}

export type Config = Omit<z.input<typeof project>, "sources" | "destinations" | "syncs"> & {
  readonly sources: Readonly<Record<string, ConnectionConfig>>;
  readonly destinations: Readonly<Record<string, ConnectionConfig>>;
  readonly syncs: Readonly<Record<string, SyncConfig>>;
};

/** The configuration, with its types checked. `${NAME}` in a text is a variable, as in YAML. */
export function defineConfig(config: Config): Config {
  return config;
}

const reads = new WeakMap<object, readonly string[]>();

/**
 * A function that reads these columns and no others: only when one of them changes is the row sent again. The function itself is told apart by
 * its text, so it must not depend on what changes outside of it.
 */
export function columns<const C extends string, R extends string | boolean | null>(
  names: readonly C[],
  run: (row: Readonly<Record<C, string | null>>) => R,
): (row: Row) => R {
  const code = (row: Row): R => run(row);
  code.toString = () => String(run);
  reads.set(code, names);
  return code;
}

/** What {@link columns} was given; null: every column. */
export function columnsOf(code: object): readonly string[] | null {
  return reads.get(code) ?? null;
}
