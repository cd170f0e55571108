// Tables with all their versions, in DuckDB: a row is there from one commit to another.
import { type DuckDBConnection, DuckDBInstance, type DuckDBValue } from "@duckdb/node-api";

/** Later than any commit. */
export const FOREVER = 9_000_000_000_000_000;
/** Rows that a transaction wrote are from, or up to, a number of its own until it commits. */
const PENDING = 1_000_000_000_000_000;

export interface Commit {
  readonly sequence: number;
  readonly ms: number;
}

export class Store {
  readonly connection: DuckDBConnection;
  readonly #instance: DuckDBInstance;
  readonly #clock: () => number;
  readonly #commits: Commit[] = [];
  #pending = 0;
  #tables = 0;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection, clock: () => number) {
    this.#instance = instance;
    this.connection = connection;
    this.#clock = clock;
  }

  static async open(clock: () => number): Promise<Store> {
    const instance = await DuckDBInstance.create(":memory:", { threads: "1", memory_limit: "512MB" });
    const connection = await instance.connect();
    for (const sql of SET_UP) await connection.run(sql);
    return new Store(instance, connection, clock);
  }

  close(): void {
    this.connection.closeSync();
    this.#instance.closeSync();
  }

  async rows(
    sql: string,
    binds: readonly (string | null)[] = [],
  ): Promise<{ types: string[]; names: string[]; rows: DuckDBValue[][] }> {
    const reader = await this.connection.runAndReadAll(sql, [...binds]);
    return {
      names: reader.columnNames(),
      types: reader.columnTypes().map(String),
      rows: reader.getRows(),
    };
  }

  async run(sql: string, binds: readonly (string | null)[] = []): Promise<void> {
    await this.connection.run(sql, [...binds]);
  }

  async count(sql: string): Promise<number> {
    return Number((await this.rows(sql)).rows[0]?.[0] ?? 0);
  }

  get sequence(): number {
    return this.#commits.at(-1)?.sequence ?? 0;
  }

  /** The newest version of that time: all that was committed up to it, inclusive. */
  sequenceAt(ms: number): number {
    return this.#commits.findLast((commit) => commit.ms <= ms)?.sequence ?? 0;
  }

  msOf(sequence: number): number {
    return this.#commits.findLast((commit) => commit.sequence <= sequence)?.ms ?? 0;
  }

  begin(): number {
    this.#pending += 1;
    return PENDING + this.#pending;
  }

  /** Also for what has no rows: the making of an object is a point of history. */
  async commit(pending: number | null, storages: Iterable<string>): Promise<number> {
    const sequence = this.sequence + 1;
    this.#commits.push({ sequence, ms: this.#clock() });
    if (pending !== null)
      for (const storage of storages) {
        await this.run(`UPDATE ${storage} SET __from = ${sequence} WHERE __from = ${pending}`);
        await this.run(`UPDATE ${storage} SET __to = ${sequence} WHERE __to = ${pending}`);
      }
    return sequence;
  }

  async rollback(pending: number, storages: Iterable<string>): Promise<void> {
    for (const storage of storages) {
      await this.run(`DELETE FROM ${storage} WHERE __from = ${pending}`);
      await this.run(`UPDATE ${storage} SET __to = ${FOREVER} WHERE __to = ${pending}`);
    }
  }

  async makeTable(columns: readonly { readonly name: string; readonly duckType: string }[]): Promise<string> {
    this.#tables += 1;
    const storage = `t_${this.#tables}`;
    const list = columns.map(({ name, duckType }) => `${quoted(name)} ${duckType}`);
    await this.run(
      `CREATE TABLE ${storage} (${[...list, "__row VARCHAR", "__from BIGINT", "__to BIGINT"].join(", ")})`,
    );
    return storage;
  }
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** SQL for whether a row is there, at a commit and for a transaction. */
export function visible(sequence: number, pending: number | null, alias = ""): string {
  const from = `${alias}__from`;
  const to = `${alias}__to`;
  if (pending === null) return `(${from} <= ${sequence} AND ${to} > ${sequence})`;
  return `((${from} <= ${sequence} OR ${from} = ${pending}) AND NOT (${to} <= ${sequence} OR ${to} = ${pending}))`;
}

/** What Snowflake has and DuckDB has under another name. Times, variants and binaries are kept as the texts that Snowflake prints. */
const SET_UP = [
  "SET TimeZone = 'UTC'",
  "CREATE SEQUENCE row_ids",
  // The name has the function's own: a macro that is called like a function of DuckDB's would call itself.
  `CREATE MACRO TO_VARCHAR(x) AS CASE typeof(x) WHEN 'DOUBLE' THEN regexp_replace(CAST(x AS VARCHAR), '\\.0$', '') ELSE CAST(x AS VARCHAR) END,
   (x, f) AS CAST(x AS VARCHAR)`,
  "CREATE MACRO IFF(c, a, b) AS CASE WHEN c THEN a ELSE b END",
  "CREATE MACRO SF_TO_JSON(x) AS CAST(x AS VARCHAR)",
  "CREATE MACRO new_row() AS md5('row' || CAST(nextval('row_ids') AS VARCHAR))",
];
