// Tables as information_schema has them.
import type { Connection } from "./connection.ts";
import { literal, tableName } from "./sql.ts";

export interface TableColumn {
  readonly name: string;
  /** `bigint`, `varchar`: lower case, without length or sign. */
  readonly dataType: string;
  /** With them. */
  readonly columnType: string;
  readonly unsigned: boolean;
  /** null: not a text. `binary`: bytes. */
  readonly charset: string | null;
  readonly nullable: boolean;
  readonly generated: "" | "stored" | "virtual";
  /** The type is JSON; in MariaDB a text that is checked to be. */
  readonly isJson: boolean;
  /** Of an ENUM or SET. */
  readonly members: readonly string[];
  /** Most bytes of a text or of bytes; digits of a number. */
  readonly length: number | null;
  readonly scale: number | null;
}

export interface UniqueIndex {
  readonly name: string;
  readonly columns: readonly string[];
}

export interface TableInfo {
  readonly database: string;
  readonly name: string;
  /** `BASE TABLE`, `VIEW`, `SYSTEM VERSIONED` … */
  readonly kind: string;
  readonly engine: string | null;
  readonly rows: number | null;
  readonly columns: readonly TableColumn[];
  /** Of whole columns; the primary key first. */
  readonly uniqueIndexes: readonly UniqueIndex[];
}

/** null: there is no such table, or we may not see it. */
export async function describeTable(
  connection: Connection,
  mariadb: boolean,
  database: string,
  name: string,
): Promise<TableInfo | null> {
  const of = `TABLE_SCHEMA = ${literal(database)} AND TABLE_NAME = ${literal(name)}`;
  const [table] = await connection.rows(
    `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name, TABLE_TYPE AS kind, ENGINE AS engine, TABLE_ROWS AS estimate
       FROM information_schema.TABLES WHERE ${of}`,
  );
  if (!table) return null;
  const columns = await connection.rows(
    `SELECT COLUMN_NAME AS name, DATA_TYPE AS data_type, COLUMN_TYPE AS column_type, CHARACTER_SET_NAME AS charset,
            IS_NULLABLE AS nullable, EXTRA AS extra,
            COALESCE(CHARACTER_OCTET_LENGTH, NUMERIC_PRECISION) AS length, NUMERIC_SCALE AS scale
       FROM information_schema.COLUMNS WHERE ${of} ORDER BY ORDINAL_POSITION`,
  );
  const indexes = await connection.rows(
    `SELECT INDEX_NAME AS name, COLUMN_NAME AS column_name, SUB_PART AS part
       FROM information_schema.STATISTICS WHERE ${of} AND NON_UNIQUE = 0 ORDER BY INDEX_NAME, SEQ_IN_INDEX`,
  );
  const mayBeJson = mariadb && table["kind"] !== "VIEW" && columns.some((row) => row["data_type"] === "longtext");
  const jsonColumns = mayBeJson ? await checkedJson(connection, tableName(database, name)) : new Set<string>();
  return {
    database: table["db"]!,
    name: table["name"]!,
    kind: table["kind"]!,
    engine: table["engine"] ?? null,
    rows: table["estimate"] === null ? null : Number(table["estimate"]),
    columns: columns.map((row) => columnFrom(row, jsonColumns)),
    uniqueIndexes: uniqueFrom(indexes),
  };
}

/** The catalogue shows checks to those only who may write the table; its statement is shown to whoever may read it. */
async function checkedJson(connection: Connection, table: string): Promise<ReadonlySet<string>> {
  const [row] = await connection.rows(`SHOW CREATE TABLE ${table}`);
  const lines = (row?.["Create Table"] ?? "").split("\n");
  const names = lines.flatMap((line) => /CHECK \(json_valid\(`((?:[^`]|``)+)`\)\)/i.exec(line)?.[1] ?? []);
  return new Set(names.map((name) => name.replaceAll("``", "`")));
}

type Row = Readonly<Record<string, string | null>>;

const BINARY = /binary|blob|^(geometry|point|linestring|polygon|multi|geomcoll|geometrycoll|vector)/;

function columnFrom(row: Row, jsonColumns: ReadonlySet<string>): TableColumn {
  const dataType = row["data_type"]!.toLowerCase();
  const columnType = row["column_type"]!;
  const extra = row["extra"] ?? "";
  const isSet = dataType === "enum" || dataType === "set";
  return {
    name: row["name"]!,
    dataType,
    columnType,
    unsigned: /\bunsigned\b/i.test(columnType),
    charset: row["charset"] ?? (BINARY.test(dataType) ? "binary" : null),
    nullable: row["nullable"] === "YES",
    generated: /VIRTUAL GENERATED/i.test(extra)
      ? "virtual"
      : /(STORED|PERSISTENT) GENERATED/i.test(extra)
        ? "stored"
        : "",
    isJson: dataType === "json" || jsonColumns.has(row["name"]!),
    members: isSet ? membersOf(columnType) : [],
    length: row["length"] === null ? null : Number(row["length"]),
    scale: row["scale"] === null ? null : Number(row["scale"]),
  };
}

/** `enum('a','it''s')` */
function membersOf(columnType: string): readonly string[] {
  return [...columnType.matchAll(/'((?:[^']|'')*)'/g)].map(([, member]) => member!.replaceAll("''", "'"));
}

function uniqueFrom(rows: readonly Row[]): readonly UniqueIndex[] {
  const indexes = new Map<string, (string | null)[]>();
  for (const row of rows) {
    const columns = indexes.get(row["name"]!) ?? [];
    // A part of a column, or an expression, does not make the column unique.
    columns.push(row["part"] === null ? (row["column_name"] ?? null) : null);
    indexes.set(row["name"]!, columns);
  }
  return [...indexes]
    .filter(([, columns]) => !columns.includes(null))
    .map(([name, columns]) => ({ name, columns: columns as string[] }))
    .sort((a, b) => Number(b.name === "PRIMARY") - Number(a.name === "PRIMARY"));
}
