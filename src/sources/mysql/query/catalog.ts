// What following a query takes to know of the server: its tables and views. Answers are kept.
import type { BaseColumn, BaseTable, CatalogRelation, QueryCatalog } from "../../../kit/live-query/catalog.ts";
import { type TableColumn, type TableInfo, describeTable } from "../catalog.ts";
import { relationId, isTable } from "../describe.ts";
import type { Connection } from "../connection.ts";
import type { Server } from "../server.ts";
import { literal, tableName } from "../sql.ts";
import { type Cascade, cascadesOf, definitionOf, isSystem } from "../definitions.ts";
import { isAscii } from "./syntax.ts";
import { type Collations, readCollations, textClass, valueSql } from "./values.ts";

export interface MysqlColumn extends BaseColumn {
  /** As the table calls it; `name` is in small letters. */
  readonly column: TableColumn;
  /** A text of it as SQL of the same type and collation; null: there is none that compares alike. */
  readonly valueSql: ((text: string) => string) | null;
}

export interface MysqlTable extends BaseTable {
  readonly columns: readonly MysqlColumn[];
  readonly info: TableInfo;
  /** Foreign keys that change it without an event in the log. */
  readonly cascades: readonly Cascade[];
}

export class ServerCatalog implements QueryCatalog {
  readonly #connection: Connection;
  readonly #server: Server;
  readonly #database: string | undefined;
  #collations: Promise<Collations> | null = null;
  readonly #relations = new Map<string, Promise<CatalogRelation<MysqlTable> | null>>();
  /** `database`: where tables are that are named without one. */
  constructor(connection: Connection, server: Server, database: string | undefined) {
    this.#connection = connection;
    this.#server = server;
    this.#database = database;
  }

  relation(schema: string | null, name: string): Promise<CatalogRelation<MysqlTable> | null> {
    const key = JSON.stringify([schema, name]);
    let known = this.#relations.get(key);
    if (!known) this.#relations.set(key, (known = this.#relation(schema ?? this.#database ?? "", name)));
    return known;
  }

  async #relation(database: string, name: string): Promise<CatalogRelation<MysqlTable> | null> {
    const info = await describeTable(this.#connection, this.#server.mariadb, database, name);
    if (!info) return null;
    const sql = tableName(info.database, info.name);
    const other = (what: string, advice = "only ordinary tables can be followed") =>
      ({ kind: "other", sql, what, advice }) as const;
    if (isSystem(info.database)) return other("a table of the system");
    if (info.columns.some((column) => !isAscii(column.name))) {
      return other("which has a column whose name is not ASCII", "make a view of it with other names");
    }
    const columns = info.columns.map((column) => column.name.toLowerCase());
    if (info.kind === "VIEW") {
      const definition = await definitionOf(this.#connection, info.database, info.name);
      if (definition === null) {
        return other("a view whose definition the user may not see", "GRANT SHOW VIEW on it, or write its query out");
      }
      return { kind: "view", sql, columns, definition };
    }
    if (!isTable(info)) return other(`a ${info.kind.toLowerCase()}`);
    if (info.kind === "SYSTEM VERSIONED")
      return other("a system-versioned table", "the log holds its old versions as rows too");
    if (info.engine !== "InnoDB") {
      return other(
        `a table kept by ${info.engine ?? "no engine"}`,
        "only InnoDB tells which transactions a query sees",
      );
    }
    if (info.uniqueIndexes[0]?.name !== "PRIMARY") return other("a table without a primary key", "give it one");
    return { kind: "table", table: await this.#table(info, sql) };
  }

  async #table(info: TableInfo, sql: string): Promise<MysqlTable> {
    const collations = await (this.#collations ??= readCollations(this.#connection));
    const rows = await this.#connection.rows(
      `SELECT COLUMN_NAME AS name, COLLATION_NAME AS collation, DATETIME_PRECISION AS digits FROM information_schema.COLUMNS
        WHERE TABLE_SCHEMA = ${literal(info.database)} AND TABLE_NAME = ${literal(info.name)}`,
    );
    const details = new Map(rows.map((row) => [row["name"]!, row]));
    const columns = info.columns.map((column): MysqlColumn => {
      const row = details.get(column.name);
      const collation = row?.["collation"] ?? null;
      return {
        name: column.name.toLowerCase(),
        notNull: !column.nullable,
        textClass: textClass(column, collation, row?.["digits"] ?? null, collations),
        deterministic: collation === null || collations.exact.has(collation),
        inLog: column.generated !== "virtual",
        column,
        valueSql: valueSql(column, collation),
      };
    });
    const notNull = new Set(columns.flatMap((column) => (column.notNull ? [column.name] : [])));
    const indexes = info.uniqueIndexes.map((index) => index.columns.map((name) => name.toLowerCase()));
    const keys = indexes.filter((index) => index.every((name) => notNull.has(name)));
    const id = relationId(info.database, info.name);
    return { id, sql, columns, keys, info, cascades: await cascadesOf(this.#connection, sql) };
  }
}
