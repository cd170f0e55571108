// The SQL that finds, from changed rows of one reference, the keys that they can affect.
import type { Link, TableReference } from "../../../kit/live-query/graph.ts";
import type { Path } from "../../../kit/live-query/paths.ts";
import { NotLive } from "../../../kit/live-query/reasons.ts";
import { type Question, type Reference, directPlaces, questionOf, sidesOf } from "../../../kit/live-query/reference.ts";
import { type Node, columnRef, names, rewrite } from "../../../kit/live-query/tree.ts";
import { quoteIdentifier } from "../../../kit/sql.ts";
import type { DescribedQuery } from "../describe-query.ts";
import { expressionSql } from "./ast.ts";
import type { PostgresColumn, PostgresTable } from "./catalog.ts";

/** `firstParameter`: the number of its first parameter, for queries that are put together; each is a `text[]`. Keys are texts. */
export type AffectedSql = (firstParameter: number) => string;

export type PostgresReference = Reference<PostgresTable, AffectedSql>;

export async function referenceOf(path: Path, described: DescribedQuery): Promise<PostgresReference> {
  const question = questionOf(path, described.key.length);
  const table = path.reference.table as PostgresTable;
  const { relation } = described;
  const direct = directPlaces(path, question, (column, place) => {
    const { type } = relation.columns[relation.key[place]!]!;
    return (column as PostgresColumn).column.type === type || (column.textClass === "int" && INTEGERS.has(type));
  });
  const sql = direct ? null : await affectedSql(path, question, described);
  return { ...question.about, table, sql, direct };
}

const INTEGERS: ReadonlySet<string> = new Set(["smallint", "integer", "bigint"]);

async function affectedSql(path: Path, { about, needed }: Question, { key }: DescribedQuery): Promise<AffectedSql> {
  const { reference } = path;
  const { keyPlaces } = about;
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
  const links = await Promise.all(path.links.map(async (link) => `(${await linkSql(link, path, write)})`));
  const where = links.length > 0 ? ` WHERE ${links.join(" AND ")}` : "";
  const present = keys.map((_, i) => `k.k${i} IS NOT NULL`).join(" AND ");
  const columns = needed as readonly PostgresColumn[];
  return (first) =>
    `SELECT DISTINCT k.* FROM (SELECT ${named} FROM ${changedRows(columns, first)} AS changed${others}${where}) AS k WHERE ${present}`;
}

function changedRows(needed: readonly PostgresColumn[], first: number): string {
  if (needed.length === 0) return "(SELECT)";
  const columns = needed.map(({ name, sqlType }, i) => `c.c${i}::${sqlType} AS ${quoteIdentifier(name)}`).join(", ");
  const lists = needed.map((_, i) => `pg_catalog.unnest($${first + i}::pg_catalog.text[])`).join(", ");
  return `(SELECT ${columns} FROM ROWS FROM (${lists}) AS c (${needed.map((_, i) => `c${i}`).join(", ")}))`;
}

type Write = (node: Node) => Promise<string>;

async function linkSql(link: Link, path: Path, write: Write): Promise<string> {
  const sides = sidesOf(link, path);
  if (!sides) return write(link.expression.node);
  const [l, r] = [await write(sides.left), await write(sides.right)];
  return sides.neverNull ? `(${l}) = (${r})` : `(${l}) = (${r}) OR ((${l}) IS NULL AND (${r}) IS NULL)`;
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
