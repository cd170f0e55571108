// The SQL that finds, from changed rows of one reference, the keys that they can affect.
import type { BaseTable } from "../../../kit/live-query/catalog.ts";
import { type TableReference, columnsRead } from "../../../kit/live-query/graph.ts";
import { type Path, isEquality } from "../../../kit/live-query/paths.ts";
import { NotLive } from "../../../kit/live-query/reasons.ts";
import { type Question, type Reference, directPlaces, questionOf, sidesOf } from "../../../kit/live-query/reference.ts";
import type { Node } from "../../../kit/live-query/tree.ts";
import { identifier } from "../sql.ts";
import type { MysqlColumn, MysqlTable } from "./catalog.ts";
import { hasTextsOf } from "./families.ts";
import { expressionSql } from "./write-sql.ts";

/** `rows`: texts of the columns that it needs. */
export type AffectedSql = (rows: readonly (readonly (string | null)[])[]) => string;

export interface MysqlReference extends Reference<MysqlTable, AffectedSql> {
  /** What `sql` joins, by the names that it gives them; `columns`: which an index would have to be on. */
  readonly joined: ReadonlyMap<string, { readonly table: BaseTable; readonly columns: readonly string[] }>;
}

/** `families`: of the columns of the model's key. Throws {@link NotLive}. */
export function referenceOf(path: Path, families: readonly string[]): MysqlReference {
  const question = questionOf(path, families.length);
  const table = path.reference.table as MysqlTable;
  const direct = directPlaces(path, question, (column, place) => hasTextsOf(column as MysqlColumn, families[place]!));
  const sql = direct ? null : affectedSql(path, question, families);
  return { ...question.about, table, direct, sql, joined: joinedBy(path) };
}

function joinedBy({ through, links }: Path): MysqlReference["joined"] {
  const equalities = links.filter(isEquality).map(({ expression }) => expression);
  return new Map(
    [...through].map((other, i) => {
      const columns = new Set(equalities.flatMap((expression) => [...columnsRead(expression, other)]));
      return [`t${i}`, { table: other.table, columns: [...columns] }] as const;
    }),
  );
}

function affectedSql(path: Path, { about, needed }: Question, families: readonly string[]): AffectedSql {
  const { reference, through, links, key } = path;
  const { keyPlaces } = about;
  const columns = needed as readonly MysqlColumn[];
  const unwritable = columns.find((column) => column.valueSql === null);
  if (unwritable) {
    const { name, column } = unwritable;
    throw new NotLive(
      `the column ${name} of ${reference.table.sql}, which is ${column.isJson ? "JSON" : `a ${column.dataType}`}`,
      "what it equals cannot be asked from its text: join by a column of another type",
      reference.place,
    );
  }
  // The same path of another UNION branch is to be the same text.
  const aliases = new Map([
    [reference.alias, "changed"],
    ...[...through].map(({ alias }, i) => [alias, `t${i}`] as const),
  ]);
  const write = (node: Node) => expressionSql(node, aliases);
  const others = [...through].map((other) => `, ${other.table.sql} AS ${aliases.get(other.alias)!}`).join("");
  const keys = keyPlaces.map((place, i) => `${write(key.get(place)!.node)} AS k${i}`);
  const where = links.map((link) => {
    const sides = sidesOf(link, path);
    if (!sides) return write(link.expression.node);
    return `${write(sides.left)} ${sides.neverNull ? "=" : "<=>"} ${write(sides.right)}`;
  });
  // Texts that a collation takes for one are different keys.
  const once = keyPlaces.some((place) => ["text", "members"].includes(families[place]!)) ? "" : "DISTINCT ";
  const present = keyPlaces.map((_, i) => `k.k${i} IS NOT NULL`).join(" AND ");
  const tail = `SELECT ${once}* FROM (SELECT ${keys.join(", ")} FROM changed${others}${where.length === 0 ? "" : ` WHERE ${where.join(" AND ")}`}) AS k WHERE ${present}`;
  return (rows) => `WITH changed ${changedRows(reference, columns, rows)} ${tail}`;
}

/** Behind the table's own columns, so that the values have their types. */
function changedRows(
  { table }: TableReference,
  columns: readonly MysqlColumn[],
  rows: readonly (readonly (string | null)[])[],
): string {
  if (columns.length === 0) return "AS (SELECT 1)";
  const names = columns.map(({ name }) => identifier(name)).join(", ");
  const values = rows.map((row) => {
    const texts = row.map((text, i) => (text === null ? "NULL" : columns[i]!.valueSql!(text)));
    return `SELECT ${texts.join(", ")}`;
  });
  return `(${names}) AS (${[`SELECT ${names} FROM ${table.sql} WHERE FALSE`, ...values].join(" UNION ALL ")})`;
}
