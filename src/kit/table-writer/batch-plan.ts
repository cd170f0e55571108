// Sorts a batch for a table into writes: one for each kind of operation and set of columns.
import type { Delivery, DeliveryOp, Field, Shape, Target } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { UNCHANGED } from "../../contracts/values.ts";
import { rfc3339 } from "../envelope.ts";

/** An event table's own columns, each written where the table has it. The first makes a repeat harmless. */
export const EVENT_ID = "tailrace_id";
export const EVENT_CHANGE = "tailrace_change";
export const EVENT_TIME = "tailrace_committed_at";

/** A table that is written, as its database describes it. */
export interface WrittenTable<C> {
  /** For people: `"public"."users"`. */
  readonly label: string;
  readonly columns: ReadonlyMap<string, C>;
  /** Those that a conflict can be found by. */
  readonly uniqueIndexes: readonly UniqueIndex[];
}

export interface UniqueIndex {
  readonly name: string;
  readonly columns: readonly string[];
}

/** The unique index whose columns are exactly these, in any order. */
export function uniqueIndexOn(table: WrittenTable<unknown>, columns: readonly string[]): UniqueIndex | null {
  const wanted = new Set(columns);
  return (
    table.uniqueIndexes.find(
      (index) => index.columns.length === wanted.size && index.columns.every((name) => wanted.has(name)),
    ) ?? null
  );
}

/** `update` does archive and clear as well: they carry the values to set. `append` inserts and matches nothing. */
export type WriteKind = "delete" | "update" | "create" | "upsert" | "append";

export interface TableWrite<C> {
  readonly kind: WriteKind;
  /** The match columns: the first cells of a row. Empty for `append`. */
  readonly match: readonly C[];
  /** The other columns that are written: the cells after the match. */
  readonly columns: readonly C[];
  /** Column names by which an append drops a repeat; null: it does not. */
  readonly once: readonly string[] | null;
}

/** Rows for one write. */
export interface Group<C, T> {
  readonly write: TableWrite<C>;
  readonly rows: (T | null)[][];
}

/** A value as the database's client takes it. `json`: the same value as JSON. Throws `destination.refused` for what cannot be stored. */
export type Encode<T> = (text: string, json: () => string) => T;

interface Layout<C, T> {
  readonly write: TableWrite<C>;
  readonly match: readonly Encode<T>[];
  /** Places in the record's values, after the match. */
  readonly places: readonly { readonly place: number; readonly encode: Encode<T> }[];
  readonly extras: readonly { readonly value: (delivery: Delivery) => string | null; readonly encode: Encode<T> }[];
}

const KINDS: Readonly<Record<Exclude<DeliveryOp, "event" | "create">, WriteKind>> = {
  upsert: "upsert",
  update: "update",
  archive: "update",
  clear: "update",
  delete: "delete",
};
// Deletes first: they may free a value of a unique column that another row of the batch takes.
const ORDER: readonly WriteKind[] = ["delete", "update", "create", "upsert", "append"];

const EXTRAS: readonly (readonly [string, (delivery: Delivery) => string | null])[] = [
  [EVENT_ID, (delivery) => delivery.id],
  [EVENT_CHANGE, (delivery) => delivery.change],
  [EVENT_TIME, ({ committedAt }) => (committedAt === null ? null : rfc3339(committedAt))],
];

export class BatchPlanner<C, T> {
  readonly #table: WrittenTable<C>;
  readonly #match: readonly string[];
  readonly #matchColumns: readonly C[];
  readonly #encode: (column: C, field: Field | null) => Encode<T>;
  readonly #layouts = new WeakMap<Shape, Map<string, Layout<C, T>>>();

  /** `encode`: how a column takes its values; `field` is null for a column of our own. */
  constructor(table: WrittenTable<C>, target: Target, encode: (column: C, field: Field | null) => Encode<T>) {
    this.#table = table;
    this.#match = target.match;
    this.#encode = encode;
    this.#matchColumns = target.mode === "event" ? [] : target.match.map((name) => this.#column(name));
  }

  /**
   * Groups in the order in which they are to run. Rows with the same match, which two keys can have, are never in one
   * group, and keep their order. Throws `destination.refused`, `delivery.no_match` or `destination.config`.
   */
  plan(batch: readonly Delivery[]): Group<C, T>[] {
    const groups: Group<C, T>[] = [];
    let wave = new Map<Layout<C, T>, Group<C, T>>();
    const seen = new Set<string>();
    const flush = (): void => {
      groups.push(...[...wave.values()].sort((a, b) => ORDER.indexOf(a.write.kind) - ORDER.indexOf(b.write.kind)));
      wave = new Map();
      seen.clear();
    };
    for (const delivery of batch) {
      const layout = this.#layout(delivery);
      const row = this.#row(delivery, layout);
      if (delivery.op !== "event") {
        const [first] = delivery.match;
        const identity =
          delivery.match.length === 1 && typeof first === "string" ? first : JSON.stringify(delivery.match);
        if (seen.has(identity)) flush();
        seen.add(identity);
      }
      const group = wave.get(layout);
      if (group) group.rows.push(row);
      else wave.set(layout, { write: layout.write, rows: [row] });
    }
    flush();
    return groups;
  }

  #row(delivery: Delivery, layout: Layout<C, T>): (T | null)[] {
    const row: (T | null)[] = [];
    for (const [index, encode] of layout.match.entries()) {
      const value = delivery.match[index];
      if (typeof value !== "string") {
        throw new TailraceError(
          "delivery.no_match",
          `the value of the match field "${this.#match[index] ?? index}" is null or was not sent`,
        );
      }
      row.push(encode(value, () => JSON.stringify(value)));
    }
    const { record } = delivery;
    for (const { place, encode } of layout.places) {
      const value = record.values[place] as string | null;
      row.push(value === null ? null : encode(value, () => record.fieldJson(place)));
    }
    for (const { value, encode } of layout.extras) {
      const text = value(delivery);
      row.push(text === null ? null : encode(text, () => JSON.stringify(text)));
    }
    return row;
  }

  #layout(delivery: Delivery): Layout<C, T> {
    const { shape, values } = delivery.record;
    let of = this.#layouts.get(shape);
    if (!of) this.#layouts.set(shape, (of = new Map()));
    let signature: string = delivery.op;
    for (let place = 0; place < values.length; place += 1) if (values[place] === UNCHANGED) signature += ` ${place}`;
    let layout = of.get(signature);
    if (!layout) of.set(signature, (layout = this.#makeLayout(delivery)));
    return layout;
  }

  #makeLayout({ op, record: { shape, values } }: Delivery): Layout<C, T> {
    const there = [...values.keys()].filter((place) => values[place] !== UNCHANGED);
    if (op === "event") return this.#eventLayout(shape, there);
    const match = this.#match.map((name, index) =>
      this.#encode(this.#matchColumns[index]!, shape.fields.find((field) => field.name === name) ?? null),
    );
    const written = there.filter((place) => op !== "delete" && !this.#match.includes(shape.fields[place]!.name));
    const { columns, places } = this.#fields(shape, written);
    // Without a unique index there is nothing to conflict with: then the transaction alone makes it once.
    const kind = op === "create" ? (uniqueIndexOn(this.#table, this.#match) ? "create" : "append") : KINDS[op];
    return { write: { kind, match: this.#matchColumns, columns, once: null }, match, places, extras: [] };
  }

  #eventLayout(shape: Shape, all: readonly number[]): Layout<C, T> {
    const { columns, places } = this.#fields(shape, all);
    const extras = EXTRAS.flatMap(([name, value]) => {
      const column = this.#table.columns.get(name);
      if (column === undefined || shape.fields.some((field) => field.name === name)) return [];
      columns.push(column);
      return [{ value, encode: this.#encode(column, null) }];
    });
    const once = uniqueIndexOn(this.#table, [EVENT_ID]) ? [EVENT_ID] : null;
    return { write: { kind: "append", match: [], columns, once }, match: [], places, extras };
  }

  #fields(shape: Shape, of: readonly number[]) {
    const columns: C[] = [];
    const places: { place: number; encode: Encode<T> }[] = [];
    for (const place of of) {
      const field = shape.fields[place]!;
      const column = this.#column(field.name);
      columns.push(column);
      places.push({ place, encode: this.#encode(column, field) });
    }
    return { columns, places };
  }

  #column(name: string): C {
    const column = this.#table.columns.get(name);
    if (column !== undefined) return column;
    throw new TailraceError(
      "destination.config",
      `table ${this.#table.label} has no column "${name}": add it, correct \`map\`, or set \`add_columns: true\``,
    );
  }
}
