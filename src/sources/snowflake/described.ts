// Models as they are now, and the SQL that reads their rows.
import { closest } from "../../contracts/did-you-mean.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Model } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { Cursor, KeyValues } from "../../contracts/source.ts";
import type { RelationVersions } from "../../kit/relation-versions.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import { canBeKey, columnOf, textSql, valueSql } from "./columns.ts";
import { folded, type ObjectName, sqlName } from "./names.ts";
import type { ResultColumn, SnowflakeSession } from "./session.ts";

export interface Described {
  readonly relation: Relation;
  readonly columns: readonly ResultColumn[];
  /** What goes behind FROM. */
  readonly from: string;
}

/** `model NAME`, for errors. */
export function label(model: Model): string {
  return `model \`${model.name}\``;
}

/**
 * Runs nothing: what the result would look like, and which columns are declared as primary key. `known`: as it was; then only columns are looked
 * at again.
 */
export async function describeModel(
  session: SnowflakeSession,
  versions: RelationVersions,
  model: Model,
  table: ObjectName | null,
  signal: AbortSignal,
  known: Described | null = null,
): Promise<Described> {
  const what = label(model);
  const from = table === null ? `(\n${(model as { sql: string }).sql}\n)` : sqlName(table);
  const { columns } = await session.run(`SELECT * FROM ${from}`, { what, describeOnly: true, signal });
  const declared = model.key ?? keyIn(known) ?? (await primaryKey(session, table!, what, signal));
  if (declared.length === 0)
    throw new TailraceError("source.model", `${what}: ${table!.name} has no primary key; give the model a \`key\``);
  const key = declared.map((name) => placeOf(columns, name, what));
  return { relation: relationOf(versions, columns, key, model, table), columns, from };
}

function keyIn(known: Described | null): string[] | null {
  return known && known.relation.key.map((place) => known.relation.columns[place]!.name);
}

export function relationOf(
  versions: RelationVersions,
  columns: readonly ResultColumn[],
  key: readonly number[],
  model: Model,
  table: ObjectName | null,
): Relation {
  return versions.intern({
    id: table === null ? `query:${model.name}` : sqlName(table),
    namespace: table === null ? "" : table.schema,
    name: table === null ? model.name : table.name,
    version: 1,
    columns: columns.map((column, place) => {
      const known = columnOf(column);
      return key.includes(place) ? { ...known, nullable: false } : known;
    }),
    key,
    oldRows: "full",
  });
}

async function primaryKey(
  session: SnowflakeSession,
  table: ObjectName,
  what: string,
  signal: AbortSignal,
): Promise<string[]> {
  const columns = await session.records(`DESCRIBE TABLE ${sqlName(table)}`, { what, signal });
  return columns.filter((column) => column["primary key"] === "Y").map((column) => column["name"]!);
}

function placeOf(columns: readonly ResultColumn[], name: string, what: string): number {
  const names = columns.map((column) => column.name);
  const place = names.indexOf(name);
  if (place < 0) {
    const like = names.includes(folded(name)) ? folded(name) : closest(name, names);
    const hint = like === null ? "" : `; did you mean ${like}?`;
    throw new TailraceError("source.model", `${what}: there is no column ${name} for its key${hint}`);
  }
  if (!canBeKey(columns[place]!))
    throw new TailraceError(
      "source.model",
      `${what}: its key ${name} is of type ${columns[place]!.type}, which cannot tell rows apart`,
    );
  return place;
}

export interface Statement {
  readonly sql: string;
  readonly binds: readonly string[];
}

/** All rows as texts in the order of the key, those behind `after`. `at`: `AT(…)`, or nothing. */
export function rowsStatement({ relation, columns, from }: Described, at: string, after: Cursor | null): Statement {
  const key = relation.key.map((place) => columns[place]!);
  const names = key.map(({ name }) => quoteIdentifier(name));
  const values = key.map(valueSql);
  const binds: string[] = [];
  // Snowflake compares no rows with `>`.
  const behind = (after ?? []).map((_text, last) => {
    binds.push(...after!.slice(0, last + 1));
    const same = names.slice(0, last).map((name, place) => `${name} = ${values[place]!}`);
    return `(${[...same, `${names[last]!} > ${values[last]!}`].join(" AND ")})`;
  });
  const where = after === null ? "" : ` WHERE ${behind.join(" OR ")}`;
  return { sql: `SELECT ${texts(columns)} FROM ${from}${at}${where} ORDER BY ${names.join(", ")}`, binds };
}

/** The rows that have one of the keys. */
export function lookupStatement(
  { relation, columns, from }: Described,
  at: string,
  keys: readonly KeyValues[],
): Statement {
  const key = relation.key.map((place) => columns[place]!);
  const names = key.map(({ name }) => quoteIdentifier(name)).join(", ");
  const one = key.map(valueSql).join(", ");
  const single = key.length === 1;
  const list = keys.map(() => (single ? one : `(${one})`)).join(", ");
  return {
    sql: `SELECT ${texts(columns)} FROM ${from}${at} WHERE ${single ? names : `(${names})`} IN (${list})`,
    binds: keys.flat(),
  };
}

function texts(columns: readonly ResultColumn[]): string {
  return columns.map((column, place) => `${textSql(column)} AS C${place}`).join(", ");
}
