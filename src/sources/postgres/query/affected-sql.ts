// The SQL that finds, from changed rows of one reference, the keys that they can affect.
import { quoteIdentifier } from "../../../kit/sql.ts";
import { type Node, columnRef, expressionSql, names, rewrite } from "./ast.ts";
import type { DescribedQuery } from "../describe-query.ts";
import type { BaseColumn, BaseTable } from "./catalog.ts";
import { type Expression, type Link, type TableReference, columnOf, columnsRead, textOf } from "./graph.ts";
import type { Path } from "./paths.ts";
import { NotLive } from "./reasons.ts";

/** How a changed row of one reference to a table leads to keys of the model. */
export interface Reference {
  readonly table: BaseTable;
  /** How it is named in the model, for people: `recent > o`. */
  readonly path: string;
  readonly place: string | null;
  /** The columns whose values, old and new, it takes; parameters of `sql` in this order, each a `text[]`. None: every change affects the same keys. */
  readonly needs: readonly string[];
  /** Places in the key that it finds, ascending; all of them, or the rest is to be found in what was sent and what is there. */
  readonly keyPlaces: readonly number[];
  readonly complete: boolean;
  /** The query: a text `k0`, `k1` … for each of `keyPlaces`, none null. null: nothing to ask, see `direct`. */
  readonly sql: AffectedSql | null;
  /** For each of `keyPlaces`, which of `needs` is its text; null: to be asked. */
  readonly direct: readonly number[] | null;
}

/** `firstParameter`: the number of its first parameter, for queries that are put together. */
export type AffectedSql = (firstParameter: number) => string;

export async function referenceOf(path: Path, described: DescribedQuery): Promise<Reference> {
  const { reference } = path;
  const { table } = reference;
  const keyPlaces = [...path.key.keys()].sort((a, b) => a - b);
  const parts = keyPlaces.map((place) => path.key.get(place)!);
  const read = new Set<string>();
  for (const expression of [...path.links.map((link) => link.expression), ...parts]) {
    for (const name of columnsRead(expression, reference)) read.add(name);
  }
  const needed = table.columns.filter(({ name }) => read.has(name));
  const missing = needed.find(({ inLog }) => !inLog);
  if (missing) {
    throw new NotLive(
      `the generated column ${missing.name} of ${table.sql}`,
      "the log does not hold it: name what it is computed from",
      reference.place,
    );
  }
  const about = {
    table,
    path: reference.path,
    place: reference.place,
    needs: needed.map(({ name }) => name),
    keyPlaces,
    complete: keyPlaces.length === described.key.length,
  };
  const direct = path.links.length === 0 ? directPlaces(parts, keyPlaces, described, needed) : null;
  return direct
    ? { ...about, sql: null, direct }
    : { ...about, sql: await affectedSql(path, keyPlaces, described, needed), direct: null };
}

/** Where the key is columns whose texts are the key's: they need not be asked for. */
function directPlaces(
  parts: readonly Expression[],
  keyPlaces: readonly number[],
  { relation }: DescribedQuery,
  needed: readonly BaseColumn[],
): readonly number[] | null {
  const places = parts.map((part, i) => {
    const column = columnOf(part)?.column;
    const { type } = relation.columns[relation.key[keyPlaces[i]!]!]!;
    const same =
      column !== undefined && (column.column.type === type || (column.textClass === "int" && INTEGERS.has(type)));
    return same ? needed.findIndex(({ name }) => name === column.name) : -1;
  });
  return places.includes(-1) ? null : places;
}

const INTEGERS: ReadonlySet<string> = new Set(["smallint", "integer", "bigint"]);

async function affectedSql(
  path: Path,
  keyPlaces: readonly number[],
  { key }: DescribedQuery,
  needed: readonly BaseColumn[],
): Promise<AffectedSql> {
  const { reference } = path;
  // The same path of another UNION branch is to be the same text.
  const aliases = new Map([
    [reference.alias, "changed"],
    ...[...path.through].map(({ alias }, i) => [alias, `t${i}`] as const),
  ]);
  const write = (node: Node) => sqlOf(node, aliases, reference);
  const others = [...path.through].map(({ table, alias }) => `, ${table.sql} AS ${aliases.get(alias)!}`).join("");
  const keys = await Promise.all(
    keyPlaces.map(
      async (place) => `(${await write(path.key.get(place)!.node)})::${key[place]!.sqlType}::pg_catalog.text`,
    ),
  );
  const named = keys.map((text, i) => `${text} AS k${i}`).join(", ");
  const keyTexts = new Set([...path.key.values()].map(textOf));
  const links = await Promise.all(path.links.map(async (link) => `(${await linkSql(link, keyTexts, write)})`));
  const where = links.length > 0 ? ` WHERE ${links.join(" AND ")}` : "";
  const present = keys.map((_, i) => `k.k${i} IS NOT NULL`).join(" AND ");
  return (first) =>
    `SELECT DISTINCT k.* FROM (SELECT ${named} FROM ${changedRows(needed, first)} AS changed${others}${where}) AS k WHERE ${present}`;
}

function changedRows(needed: readonly BaseColumn[], first: number): string {
  if (needed.length === 0) return "(SELECT)";
  const columns = needed.map(({ name, sqlType }, i) => `c.c${i}::${sqlType} AS ${quoteIdentifier(name)}`).join(", ");
  const lists = needed.map((_, i) => `pg_catalog.unnest($${first + i}::pg_catalog.text[])`).join(", ");
  return `(SELECT ${columns} FROM ROWS FROM (${lists}) AS c (${needed.map((_, i) => `c${i}`).join(", ")}))`;
}

type Write = (node: Node) => Promise<string>;

async function linkSql(link: Link, keyTexts: ReadonlySet<string>, write: Write): Promise<string> {
  if (!link.same) return write(link.expression.node);
  const { left, right } = link.same;
  const [l, r] = [await write(left.node), await write(right.node)];
  // A key is never null.
  const neverNull = [left, right].some((side) => keyTexts.has(textOf(side)) || columnOf(side)?.column.notNull);
  return neverNull ? `(${l}) = (${r})` : `(${l}) = (${r}) OR ((${l}) IS NULL AND (${r}) IS NULL)`;
}

async function sqlOf(node: Node, aliases: ReadonlyMap<string, string>, reference: TableReference): Promise<string> {
  const renamed = rewrite(node, (inner) => {
    if (!("ColumnRef" in inner)) return undefined;
    const [alias, column] = names((inner as { ColumnRef: { fields?: Node[] } }).ColumnRef.fields);
    return columnRef(aliases.get(alias ?? "") ?? "", column ?? "");
  });
  const sql = await expressionSql(renamed);
  if (sql === null) {
    throw new NotLive("an expression that cannot be written out again", "write it in another way", reference.place);
  }
  return sql;
}
