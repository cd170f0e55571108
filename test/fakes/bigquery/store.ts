// Tables with their history, in DuckDB: a row is there from one commit to another, and every commit is in the table's change log.
import { type DuckDBConnection, DuckDBInstance, type DuckDBType, type DuckDBValue } from "@duckdb/node-api";
import { BigQueryFault, invalidQuery } from "./errors.ts";
import { type Field, storedType } from "./types.ts";

/** Later than any commit, in µs. */
export const FOREVER = 9_000_000_000_000_000n;

export interface Table {
  /** `dataset.table`. */
  readonly name: string;
  readonly type: "TABLE" | "VIEW" | "MATERIALIZED_VIEW" | "EXTERNAL";
  fields: readonly Field[];
  readonly primaryKey: readonly string[];
  /** Of a view. */
  readonly sql: string;
  readonly createdUs: bigint;
  modifiedUs: bigint;
  /** Since when its change history is kept; null: it is not. */
  historySince: bigint | null;
  /** Rows were written with `_CHANGE_TYPE`, through the Storage Write API. */
  upserted: boolean;
  /** It has, or had, row access policies. */
  policies: boolean;
  /** Rows in the streaming buffer. */
  streamed: number;
  expirationMs: string | null;
  requiresFilter: boolean;
  /** When multi-statement transactions changed it. */
  readonly transactions: bigint[];
  readonly rows: string;
  readonly log: string;
}

export interface Result {
  readonly names: readonly string[];
  readonly types: readonly DuckDBType[];
  readonly rows: readonly DuckDBValue[][];
}

export type Values = Readonly<Record<string, string | null>>;
export type Write =
  | { readonly insert: Values }
  | { readonly update: Values; readonly where: Values }
  | { readonly delete: Values };

export class Store {
  readonly connection: DuckDBConnection;
  readonly tables = new Map<string, Table>();
  readonly #instance: DuckDBInstance;
  #made = 0;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#instance = instance;
    this.connection = connection;
  }

  static async open(): Promise<Store> {
    const instance = await DuckDBInstance.create(":memory:", { threads: "1", memory_limit: "512MB" });
    const connection = await instance.connect();
    for (const sql of SET_UP) await connection.run(sql);
    return new Store(instance, connection);
  }

  close(): void {
    this.connection.closeSync();
    this.#instance.closeSync();
  }

  async run(sql: string, binds: Record<string, string | null> = {}): Promise<Result> {
    try {
      const reader = await this.connection.runAndReadAll(sql, binds);
      return { names: reader.columnNames(), types: reader.columnTypes(), rows: reader.getRows() };
    } catch (error) {
      const { message } = error as Error;
      const [, kind = "", text = message] = /^(\w+) Error: (.*)/s.exec(message) ?? [];
      if (kind === "Binder" && /column/.test(text))
        throw invalidQuery(`Unrecognized name: ${/"([^"]+)"/.exec(text)?.[1] ?? ""} at [1:1]`);
      throw invalidQuery(`${kind === "Parser" ? "Syntax error: " : ""}${text} at [1:1]`);
    }
  }

  async create(
    table: Pick<Table, "name" | "type" | "fields" | "primaryKey" | "sql"> & { readonly history: boolean },
    now: bigint,
  ): Promise<Table> {
    this.#made += 1;
    const made: Table = {
      ...table,
      createdUs: now,
      modifiedUs: now,
      historySince: table.history ? now : null,
      upserted: false,
      policies: false,
      streamed: 0,
      expirationMs: null,
      requiresFilter: false,
      transactions: [],
      rows: `t_${this.#made}`,
      log: `log_${this.#made}`,
    };
    if (table.type === "TABLE" || table.type === "EXTERNAL") {
      const columns = table.fields.map((field) => `${quoted(field.name)} ${storedType(field)}`);
      await this.run(`CREATE TABLE ${made.rows} (${[...columns, "__from BIGINT", "__to BIGINT"].join(", ")})`);
      await this.run(
        `CREATE TABLE ${made.log} (${[...columns, "__at BIGINT", "__type VARCHAR", "__half BOOLEAN"].join(", ")})`,
      );
    }
    this.tables.set(table.name, made);
    return made;
  }

  /** Writes of one commit, each after the one before. */
  async commit(table: Table, writes: readonly Write[], at: bigint): Promise<void> {
    const names = table.fields.map(({ name }) => quoted(name)).join(", ");
    const current = `${table.rows} WHERE __to = ${FOREVER}`;
    for (const write of writes) {
      const { where, binds } = condition(
        table,
        "insert" in write ? {} : "update" in write ? write.where : write.delete,
      );
      if ("insert" in write) await this.#add(table, write.insert, at);
      else if ("update" in write) {
        const { sets, values } = assignments(table, write.update);
        const all = { ...binds, ...values };
        await this.run(
          `CREATE OR REPLACE TEMP TABLE changed AS SELECT * REPLACE (${sets.join(", ")}) FROM ${current} AND ${where}`,
          all,
        );
        await this.run(
          `INSERT INTO ${table.log} SELECT ${names}, ${at}, 'DELETE', true FROM ${current} AND ${where}`,
          binds,
        );
        await this.run(`UPDATE ${table.rows} SET __to = ${at} WHERE __to = ${FOREVER} AND ${where}`, binds);
        await this.run(`INSERT INTO ${table.log} SELECT ${names}, ${at}, 'UPDATE', false FROM changed`);
        await this.run(`INSERT INTO ${table.rows} SELECT ${names}, ${at}, ${FOREVER} FROM changed`);
      } else {
        await this.run(
          `INSERT INTO ${table.log} SELECT ${names}, ${at}, 'DELETE', false FROM ${current} AND ${where}`,
          binds,
        );
        await this.run(`UPDATE ${table.rows} SET __to = ${at} WHERE __to = ${FOREVER} AND ${where}`, binds);
      }
    }
    if (at > table.modifiedUs) table.modifiedUs = at;
  }

  async #add(table: Table, row: Values, at: bigint): Promise<void> {
    const { values } = assignments(table, row);
    const list = table.fields.map((field, index) =>
      Object.hasOwn(row, field.name) ? valueOf(field, `$v${index}`) : "NULL",
    );
    await this.run(`INSERT INTO ${table.rows} SELECT ${list.join(", ")}, ${at}, ${FOREVER}`, values);
    await this.run(`INSERT INTO ${table.log} SELECT ${list.join(", ")}, ${at}, 'INSERT', false`, values);
  }

  async dropColumn(table: Table, name: string): Promise<void> {
    for (const each of [table.rows, table.log]) await this.run(`ALTER TABLE ${each} DROP COLUMN ${quoted(name)}`);
    table.fields = table.fields.filter((field) => field.name !== name);
  }

  async addColumn(table: Table, field: Field): Promise<void> {
    const columns = `${quoted(field.name)} ${storedType(field)}`;
    for (const each of [table.rows, table.log]) {
      // Behind the columns of our own, which are named wherever they are used.
      await this.run(`ALTER TABLE ${each} ADD COLUMN ${columns}`);
    }
    table.fields = [...table.fields, field];
    await this.#reorder(table);
  }

  async #reorder(table: Table): Promise<void> {
    const names = table.fields.map(({ name }) => quoted(name)).join(", ");
    for (const [each, own] of [
      [table.rows, "__from, __to"],
      [table.log, "__at, __type, __half"],
    ] as const) {
      await this.run(`CREATE TABLE moved AS SELECT ${names}, ${own} FROM ${each}`);
      await this.run(`DROP TABLE ${each}`);
      await this.run(`ALTER TABLE moved RENAME TO ${each}`);
    }
  }
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function columnsOf({ fields }: Table): string {
  return fields.map(({ name }) => quoted(name)).join(", ");
}

function valueOf(field: Field, bind: string): string {
  const type = storedType(field);
  return type === "BLOB" ? `unhex(${bind})` : `CAST(${bind} AS ${type})`;
}

function assignments(
  table: Table,
  row: Values,
): { readonly sets: string[]; readonly values: Record<string, string | null> } {
  const sets: string[] = [];
  const values: Record<string, string | null> = {};
  for (const [name, value] of Object.entries(row)) {
    const index = table.fields.findIndex((field) => field.name === name);
    if (index < 0) throw new BigQueryFault(400, "invalid", `no such field: ${name}`);
    sets.push(`${valueOf(table.fields[index]!, `$v${index}`)} AS ${quoted(name)}`);
    values[`v${index}`] = value;
  }
  return { sets, values };
}

function condition(
  table: Table,
  where: Values,
): { readonly where: string; readonly binds: Record<string, string | null> } {
  const binds: Record<string, string | null> = {};
  const terms = Object.entries(where).map(([name, value]) => {
    const index = table.fields.findIndex((field) => field.name === name);
    binds[`w${index}`] = value;
    return `${quoted(name)} IS NOT DISTINCT FROM ${valueOf(table.fields[index]!, `$w${index}`)}`;
  });
  return { where: terms.length === 0 ? "true" : terms.join(" AND "), binds };
}

/** BigQuery prints 0, 3 or 6 digits of a second. */
const FRACTION = [
  ["\\.(\\d)(\\D|$)", ".\\100\\2"],
  ["\\.(\\d\\d)(\\D|$)", ".\\10\\2"],
  ["\\.(\\d{4})(\\D|$)", ".\\100\\2"],
  ["\\.(\\d{5})(\\D|$)", ".\\10\\2"],
].reduce((text, [from, to]) => `regexp_replace(${text}, '${from}', '${to}')`, "CAST(x AS VARCHAR)");

/** What BigQuery has and DuckDB has under another name, or with other results. */
const SET_UP = [
  "SET TimeZone = 'UTC'",
  `CREATE MACRO bq_text(x) AS CASE WHEN typeof(x) IN ('TIMESTAMP WITH TIME ZONE', 'TIMESTAMP', 'TIME') THEN ${FRACTION}
   WHEN typeof(x) LIKE 'DECIMAL%' THEN regexp_replace(CAST(x AS VARCHAR), '\\.?0+$', '') ELSE CAST(x AS VARCHAR) END`,
  "CREATE MACRO bq_string(x, zone) AS bq_text(CASE zone WHEN 'UTC' THEN x END)",
  "CREATE MACRO bq_if(c, a, b) AS CASE WHEN c THEN a ELSE b END",
  "CREATE MACRO bq_json(x) AS CASE typeof(x) WHEN 'JSON' THEN CAST(x AS VARCHAR) ELSE CAST(to_json(x) AS VARCHAR) END",
  "CREATE MACRO bq_hex(x) AS lower(hex(x))",
  "CREATE MACRO bq_same(x) AS x",
  "CREATE MACRO bq_concat(a, b) AS a || b",
  "CREATE MACRO bq_json_array(x) AS json_extract(CAST(x AS JSON), '$[*]')",
];
