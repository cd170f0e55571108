// Compares what a receiver was told with what the source's table holds, outside the engine.
import { keyText } from "./envelope.ts";
import { rowsOf } from "./ledger-order.ts";
import type { LedgerEntry } from "./ledger.ts";

/** One row: texts by field. A field that was never sent is not in it. */
export type RowTexts = Readonly<Record<string, string | null>>;
/** By {@link keyText}. */
export type State = ReadonlyMap<string, RowTexts>;

export interface FoldOptions {
  /** `acknowledged`: only rows that a whole answer took (the strict way, for loss). `received`: every row that came. */
  readonly count?: "acknowledged" | "received" | undefined;
}

/** The final state that a receiver has which applies each row in order of arrival. */
export function fold(entries: readonly LedgerEntry[], options: FoldOptions = {}): State {
  const all = options.count === "received";
  const state = new Map<string, RowTexts>();
  for (const row of rowsOf(entries)) {
    if (!all && !row.acknowledged) continue;
    if (row.op === "delete") state.delete(row.key);
    // Fields that a record leaves out keep their value: an unchanged column is not a null one.
    else state.set(row.key, merged(state.get(row.key), row.record ?? {}));
  }
  return state;
}

function merged(before: RowTexts | undefined, after: RowTexts): RowTexts {
  return Object.assign(Object.create(null) as Record<string, string | null>, before, after);
}

export interface TableQuery {
  /** As SQL takes it: `"shop"."users"`. */
  readonly table: string;
  /** Key columns, in key order. */
  readonly key: readonly string[];
  /** Field → SQL expression over the table's columns. Default: every column under its own name. */
  readonly mapping?: Readonly<Record<string, string>> | undefined;
  readonly where?: string | undefined;
}

/** Anything that answers SQL with rows of texts, such as a `TestDatabase`. */
export interface TextDatabase {
  rows(text: string, values?: readonly unknown[]): Promise<Record<string, string | null>[]>;
}

const FETCH_ROWS = 10_000;

/** The table's rows as the source prints them (`::text`), from one snapshot. */
export async function tableState(database: TextDatabase, query: TableQuery): Promise<State> {
  const mapping = query.mapping ?? (await ownColumns(database, query.table));
  const fields = Object.keys(mapping);
  const expressions = [
    ...query.key.map((column, at) => `${identifier(column)}::text AS "k${at}"`),
    ...fields.map((field, at) => `(${mapping[field]})::text AS "f${at}"`),
  ];
  const state = new Map<string, RowTexts>();
  await database.rows("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  try {
    const where = query.where === undefined ? "" : ` WHERE ${query.where}`;
    await database.rows(
      `DECLARE oracle NO SCROLL CURSOR FOR SELECT ${expressions.join(", ")} FROM ${query.table}${where}`,
    );
    for (;;) {
      const rows = await database.rows(`FETCH ${FETCH_ROWS} FROM oracle`);
      for (const row of rows) {
        const texts = Object.create(null) as Record<string, string | null>;
        for (const [at, field] of fields.entries()) texts[field] = row[`f${at}`] ?? null;
        state.set(keyText(query.key.map((_column, at) => row[`k${at}`] ?? "")), texts);
      }
      if (rows.length < FETCH_ROWS) return state;
    }
  } finally {
    await database.rows("ROLLBACK");
  }
}

async function ownColumns(database: TextDatabase, table: string): Promise<Record<string, string>> {
  const columns = await database.rows(
    "SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
    [table],
  );
  return Object.fromEntries(columns.map(({ name }) => [name, identifier(name ?? "")]));
}

function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export interface Difference {
  readonly key: string;
  readonly field: string;
  readonly expected: string | null;
  /** undefined: the field was never sent. */
  readonly actual: string | null | undefined;
}

export interface Comparison {
  /** Rows on the source's side. */
  readonly rows: number;
  /** Keys that the source has and the receiver has not. */
  readonly lost: readonly string[];
  /** Keys that the receiver has and the source has not. */
  readonly extra: readonly string[];
  readonly different: readonly Difference[];
  readonly equal: boolean;
}

/** Fields that `actual` has beyond those of `expected` are not compared. */
export function compareStates(expected: State, actual: State): Comparison {
  const lost: string[] = [];
  const different: Difference[] = [];
  for (const [key, row] of expected) {
    const other = actual.get(key);
    if (other === undefined) {
      lost.push(key);
      continue;
    }
    for (const [field, text] of Object.entries(row)) {
      if (other[field] !== text) different.push({ key, field, expected: text, actual: other[field] });
    }
  }
  const extra = [...actual.keys()].filter((key) => !expected.has(key));
  const equal = lost.length + extra.length + different.length === 0;
  return { rows: expected.size, lost, extra, different, equal };
}

/** The ledger's final state against the table, row by row, text by text. */
export async function compare(
  entries: readonly LedgerEntry[],
  database: TextDatabase,
  query: TableQuery & FoldOptions,
): Promise<Comparison> {
  return compareStates(await tableState(database, query), fold(entries, query));
}
