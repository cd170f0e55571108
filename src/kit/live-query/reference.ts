// What following one reference to a table takes.
import type { BaseColumn, BaseTable } from "./catalog.ts";
import { type Expression, type Link, columnOf, columnsRead, textOf } from "./graph.ts";
import type { Path } from "./paths.ts";
import { NotLive } from "./reasons.ts";
import type { Node } from "./tree.ts";

/** How a changed row of one reference to a table leads to keys of the model. `Sql`: a query as its database is asked it. */
export interface Reference<T extends BaseTable = BaseTable, Sql = unknown> {
  readonly table: T;
  /** How it is named in the model, for people: `recent > o`. */
  readonly path: string;
  readonly place: string | null;
  /** The columns whose values, old and new, it takes, in this order. None: every change affects the same keys. */
  readonly needs: readonly string[];
  /** Places in the key that it finds, ascending; all of them, or the rest is to be found in what was sent and what is there. */
  readonly keyPlaces: readonly number[];
  readonly complete: boolean;
  /** The query: a column `k0`, `k1` … for each of `keyPlaces`, none null. null: nothing to ask, see `direct`. */
  readonly sql: Sql | null;
  /** For each of `keyPlaces`, which of `needs` is its text; null: to be asked. */
  readonly direct: readonly number[] | null;
}

/** What the query of a path is made of. */
export interface Question {
  readonly about: Omit<Reference, "table" | "sql" | "direct">;
  /** As `about.needs`. */
  readonly needed: readonly BaseColumn[];
  /** By the places of the key that it finds. */
  readonly parts: readonly Expression[];
}

/** `width`: of the model's key. Throws {@link NotLive} where the log does not hold what it takes. */
export function questionOf({ reference, links, key }: Path, width: number): Question {
  const { table, path, place } = reference;
  const keyPlaces = [...key.keys()].sort((a, b) => a - b);
  const parts = keyPlaces.map((one) => key.get(one)!);
  const read = new Set<string>();
  for (const expression of [...links.map((link) => link.expression), ...parts]) {
    for (const name of columnsRead(expression, reference)) read.add(name);
  }
  const needed = table.columns.filter(({ name }) => read.has(name));
  const missing = needed.find(({ inLog }) => !inLog);
  if (missing) {
    throw new NotLive(
      `the generated column ${missing.name} of ${table.sql}`,
      "the log does not hold it: name what it is computed from",
      place,
    );
  }
  const needs = needed.map(({ name }) => name);
  return { about: { path, place, needs, keyPlaces, complete: keyPlaces.length === width }, needed, parts };
}

/** Where the key is columns whose texts are the key's: they need not be asked for. `same`: whether those of a column are those of a place. */
export function directPlaces(
  { links }: Path,
  { about, needed, parts }: Question,
  same: (column: BaseColumn, keyPlace: number) => boolean,
): readonly number[] | null {
  if (links.length > 0) return null;
  const places = parts.map((part, i) => {
    const column = columnOf(part)?.column;
    return column && same(column, about.keyPlaces[i]!) ? needed.findIndex(({ name }) => name === column.name) : -1;
  });
  return places.includes(-1) ? null : places;
}

/** The two sides of what a link takes for the same; `neverNull`: one of them is not null, so that they are equal. null: it is a condition. */
export function sidesOf(
  { same }: Link,
  { key }: Path,
): { readonly left: Node; readonly right: Node; readonly neverNull: boolean } | null {
  if (!same) return null;
  const { left, right } = same;
  // A key is never null.
  const texts = new Set([...key.values()].map(textOf));
  const neverNull = [left, right].some((side) => texts.has(textOf(side)) || columnOf(side)?.column.notNull === true);
  return { left: left.node, right: right.node, neverNull };
}
