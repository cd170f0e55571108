// Sorts a batch into statements: one for each kind of operation and set of columns.
import type { Delivery, DeliveryOp, Shape, Target } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { UNCHANGED } from "../../contracts/values.ts";
import { assertStorable, type TextRow } from "./copy.ts";
import { EVENT_CHANGE, EVENT_ID, EVENT_TIME } from "./create-table.ts";
import { EPOCH_MICROSECONDS, type Merge, type MergeKind } from "./merge.ts";
import { type TargetColumn, type TargetTable, uniqueIndexOn } from "./table.ts";

/** Rows for one statement. */
export interface Group {
  readonly merge: Merge;
  readonly rows: TextRow[];
}

/** What a group writes of a record, found once for a shape and a set of left-out fields. */
interface Layout {
  readonly merge: Merge;
  /** Places in the record's values, after the match. */
  readonly places: readonly number[];
  readonly extras: readonly ((delivery: Delivery) => string | null)[];
}

const KINDS: Readonly<Record<Exclude<DeliveryOp, "event" | "create">, MergeKind>> = {
  upsert: "upsert",
  update: "update",
  archive: "update",
  clear: "update",
  delete: "delete",
};
// Deletes first: they may free a value of a unique column that another row of the batch takes.
const ORDER: readonly MergeKind[] = ["delete", "update", "create", "upsert", "append"];

export class BatchPlanner {
  readonly #table: TargetTable;
  readonly #match: readonly string[];
  readonly #matchColumns: readonly TargetColumn[];
  readonly #layouts = new WeakMap<Shape, Map<string, Layout>>();

  constructor(table: TargetTable, target: Target) {
    this.#table = table;
    this.#match = target.match;
    this.#matchColumns = target.mode === "event" ? [] : target.match.map((name) => this.#column(name));
  }

  /**
   * Groups in the order in which they are to run. Rows with the same match, which two keys can have, are never in one
   * group, and keep their order. Throws `destination.refused`, `delivery.no_match` or `destination.config`.
   */
  plan(batch: readonly Delivery[]): Group[] {
    const groups: Group[] = [];
    let wave = new Map<Layout, Group>();
    const seen = new Set<string>();
    const flush = (): void => {
      groups.push(...[...wave.values()].sort((a, b) => ORDER.indexOf(a.merge.kind) - ORDER.indexOf(b.merge.kind)));
      wave = new Map();
      seen.clear();
    };
    for (const delivery of batch) {
      const layout = this.#layout(delivery);
      const row = this.#row(delivery, layout);
      if (delivery.op !== "event") {
        const identity = delivery.match.length === 1 ? (row[0] ?? "") : JSON.stringify(delivery.match);
        if (seen.has(identity)) flush();
        seen.add(identity);
      }
      const group = wave.get(layout);
      if (group) group.rows.push(row);
      else wave.set(layout, { merge: layout.merge, rows: [row] });
    }
    flush();
    return groups;
  }

  #row(delivery: Delivery, layout: Layout): TextRow {
    const row: (string | null)[] = [];
    if (delivery.op !== "event") {
      for (const [index, value] of delivery.match.entries()) {
        if (typeof value !== "string") {
          throw new TailraceError(
            "delivery.no_match",
            `the value of the match field "${this.#match[index] ?? index}" is null or was not sent`,
          );
        }
        row.push(value);
        assertStorable(value, this.#match[index] ?? "");
      }
    }
    const { values, shape } = delivery.record;
    for (const place of layout.places) {
      const value = values[place] as string | null;
      if (value !== null) assertStorable(value, shape.fields[place]!.name);
      row.push(value);
    }
    for (const extra of layout.extras) row.push(extra(delivery));
    return row;
  }

  #layout(delivery: Delivery): Layout {
    const { shape, values } = delivery.record;
    let of = this.#layouts.get(shape);
    if (!of) this.#layouts.set(shape, (of = new Map()));
    let signature: string = delivery.op;
    for (let place = 0; place < values.length; place += 1) if (values[place] === UNCHANGED) signature += ` ${place}`;
    let layout = of.get(signature);
    if (!layout) of.set(signature, (layout = this.#makeLayout(delivery)));
    return layout;
  }

  #makeLayout(delivery: Delivery): Layout {
    const { shape, values } = delivery.record;
    const { op } = delivery;
    const table = this.#table;
    if (op === "delete")
      return {
        merge: { kind: "delete", table, match: this.#matchColumns, columns: [], once: null },
        places: [],
        extras: [],
      };
    const columns: TargetColumn[] = [];
    const places: number[] = [];
    for (const [place, field] of shape.fields.entries()) {
      if (values[place] === UNCHANGED || (op !== "event" && this.#match.includes(field.name))) continue;
      places.push(place);
      columns.push(this.#column(field.name));
    }
    if (op === "event") return this.#eventLayout(shape, columns, places);
    // Without a unique index there is nothing to conflict with: then the transaction alone makes it once.
    const kind = op === "create" ? (uniqueIndexOn(table, this.#match) ? "create" : "append") : KINDS[op];
    return { merge: { kind, table, match: this.#matchColumns, columns, once: null }, places, extras: [] };
  }

  #eventLayout(shape: Shape, columns: TargetColumn[], places: number[]): Layout {
    const extras: ((delivery: Delivery) => string | null)[] = [];
    const offer = (name: string, value: (delivery: Delivery) => string | null, cast?: string): void => {
      const column = this.#table.columns.get(name);
      if (!column || shape.fields.some((field) => field.name === name)) return;
      columns.push(cast === undefined ? column : { ...column, cast });
      extras.push(value);
    };
    offer(EVENT_ID, (delivery) => delivery.id);
    offer(EVENT_CHANGE, (delivery) => delivery.change);
    offer(
      EVENT_TIME,
      (delivery) => (delivery.committedAt === null ? null : String(delivery.committedAt)),
      EPOCH_MICROSECONDS,
    );
    const once = this.#table.columns.has(EVENT_ID) && uniqueIndexOn(this.#table, [EVENT_ID]) ? [EVENT_ID] : null;
    return { merge: { kind: "append", table: this.#table, match: [], columns, once }, places, extras };
  }

  #column(name: string): TargetColumn {
    const column = this.#table.columns.get(name);
    if (column) return column;
    throw new TailraceError(
      "destination.config",
      `table "${this.#table.schema}.${this.#table.name}" has no column "${name}": add it, correct \`map\`, or set \`add_columns: true\``,
    );
  }
}
