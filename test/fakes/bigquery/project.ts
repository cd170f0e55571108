// A project: its datasets' tables, who may read them, what time it is, and what is done to them besides what Tailrace does.
import { accessDenied, invalidQuery, notFound } from "./errors.ts";
import { type QueryContext, translate } from "./query.ts";
import type { Store, Table, Values, Write } from "./store.ts";
import { apiText, type Field, resultType } from "./types.ts";

export type Parameters = Record<string, string | null>;

export const PROJECT = "test-project";

export class BigQueryProject implements AsyncDisposable {
  readonly store: Store;
  /** `dataset.table` that may not be read. */
  readonly denied = new Set<string>();
  /** Whether the reader may see the past of tables that have row access policies. */
  overridesPolicies = false;
  maxTimeTravelHours = 168;
  #offsetUs = 0n;
  #lastUs = 0n;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(store: Store) {
    this.store = store;
  }

  /** µs since the epoch, never twice the same. */
  now(): bigint {
    const us = BigInt(Math.floor((performance.timeOrigin + performance.now()) * 1000)) + this.#offsetUs;
    this.#lastUs = us > this.#lastUs ? us : this.#lastUs + 1n;
    return this.#lastUs;
  }

  /** Time passes. */
  advance(ms: number): void {
    this.#offsetUs += BigInt(ms) * 1000n;
  }

  create(
    name: string,
    fields: readonly Field[],
    options: {
      readonly history?: boolean;
      readonly key?: readonly string[];
      readonly type?: Table["type"];
      readonly sql?: string;
    } = {},
  ): Promise<Table> {
    const { history = true, key = [], type = "TABLE", sql = "" } = options;
    return this.inTurn(() => this.store.create({ name, fields, primaryKey: key, history, type, sql }, this.now()));
  }

  drop(name: string): void {
    this.store.tables.delete(name);
  }

  /** One commit. `at`: a time of before, when it took place; it is visible only from now on. */
  write(name: string, writes: readonly Write[], at?: bigint): Promise<bigint> {
    return this.inTurn(async () => {
      const us = at ?? this.now();
      await this.store.commit(this.table(name), writes, us);
      return us;
    });
  }

  insert(name: string, ...rows: readonly Values[]): Promise<bigint> {
    return this.write(
      name,
      rows.map((row) => ({ insert: row })),
    );
  }

  /** `BEGIN TRANSACTION; … COMMIT TRANSACTION`. */
  async transaction(name: string, writes: readonly Write[]): Promise<void> {
    this.table(name).transactions.push(await this.write(name, writes));
  }

  /** `tabledata.insertAll`: rows are there at once; the table's `lastModifiedTime` says nothing of them. */
  async stream(name: string, ...rows: readonly Values[]): Promise<void> {
    const table = this.table(name);
    const { modifiedUs } = table;
    await this.insert(name, ...rows);
    table.modifiedUs = modifiedUs;
    table.streamed += rows.length;
  }

  /** `ALTER TABLE … SET OPTIONS (enable_change_history = …)`. */
  setHistory(name: string, on: boolean): void {
    const table = this.table(name);
    table.historySince = on ? this.now() : null;
    table.modifiedUs = this.now();
  }

  table(name: string): Table {
    const table = this.store.tables.get(name);
    if (table === undefined) throw notFound(`Table ${PROJECT}:${name}`);
    return table;
  }

  /** What a query gives, in texts. */
  rows(sql: string): Promise<(string | null)[][]> {
    return this.inTurn(() => this.run(sql, {}));
  }

  /** Of these permissions, those that the reader has on the table. */
  permissions(name: string, asked: readonly string[]): object {
    const held = asked.filter((each) =>
      each.endsWith("overrideTimeTravelRestrictions") ? this.overridesPolicies : !this.denied.has(name),
    );
    return held.length === 0 ? {} : { permissions: held };
  }

  /** As `tables.get` gives it. */
  resource(table: Table): object {
    const [datasetId, tableId] = table.name.split(".");
    const isStored = table.type === "TABLE";
    return {
      id: `${PROJECT}:${table.name}`,
      tableReference: { projectId: PROJECT, datasetId, tableId },
      type: table.type,
      location: "US",
      schema: { fields: table.fields.map((field) => ({ mode: "NULLABLE", ...field })) },
      creationTime: String(table.createdUs / 1000n),
      lastModifiedTime: String(table.modifiedUs / 1000n),
      ...(isStored ? { numRows: "0", numBytes: "0" } : {}),
      ...(table.streamed > 0
        ? { streamingBuffer: { estimatedRows: String(table.streamed), estimatedBytes: String(table.streamed * 100) } }
        : {}),
      ...(table.primaryKey.length > 0 ? { tableConstraints: { primaryKey: { columns: table.primaryKey } } } : {}),
      ...(table.expirationMs === null ? {} : { timePartitioning: { type: "DAY", expirationMs: table.expirationMs } }),
      ...(table.requiresFilter ? { requirePartitionFilter: true } : {}),
    };
  }

  /** What a query would read, and what its columns would be. */
  async planned(text: string, given: Parameters) {
    const context = this.#context(given);
    const { sql, tables, reads } = await translate(text, context);
    const parameters = used(sql, context.parameters);
    const { names, types } = await this.store.run(`SELECT * FROM (${sql}) LIMIT 0`, parameters);
    let bytes = 0n;
    for (const each of reads) {
      const [row] = (
        await this.store.run(`SELECT CAST(coalesce(sum(strlen(CAST(r AS VARCHAR))), 0) AS VARCHAR) FROM (${each}) AS r`)
      ).rows;
      bytes += BigInt(row![0] as string);
    }
    const fields = names.map((name, index): Field => ({
      name,
      type: resultType(types[index]!),
      mode: "NULLABLE",
      ...declared([...tables], name),
    }));
    return { fields, tables: [...tables], bytes, reads: reads.length };
  }

  /** Its rows, as the API has them. */
  async run(sql: string, parameters: Parameters): Promise<(string | null)[][]> {
    const context = this.#context(parameters);
    const translated = await translate(sql, context);
    const { rows, types } = await this.store.run(translated.sql, used(translated.sql, parameters));
    return rows.map((row) => row.map((value, index) => apiText(value, types[index]!)));
  }

  #context(parameters: Parameters): QueryContext {
    return {
      store: this.store,
      project: PROJECT,
      now: this.now(),
      parameters,
      timeTravelUs: BigInt(this.maxTimeTravelHours) * 3_600_000_000n,
      authorize: ({ name, policies }, past) => {
        if (this.denied.has(name))
          throw accessDenied(
            `Table ${PROJECT}:${name}: User does not have permission to query table ${PROJECT}:${name}, or perhaps it does not exist.`,
          );
        // The past is for the table's administrators: https://docs.cloud.google.com/bigquery/docs/change-history
        if (past && policies && !this.overridesPolicies)
          throw accessDenied(
            `Table ${PROJECT}:${name}: bigquery.rowAccessPolicies.overrideTimeTravelRestrictions is required`,
          );
      },
    };
  }

  /** One at a time: what a query sees is what was committed before it began. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn.catch(() => {});
    this.store.close();
  }
}

/** DuckDB does not know all of BigQuery's types; a column that is called like one of a table that is read has its type. */
function declared(tables: readonly Table[], name: string): Pick<Field, "type" | "mode"> | Record<string, never> {
  const field = tables.flatMap(({ fields }) => fields).find((each) => each.name === name);
  return field === undefined ? {} : { type: field.type, ...(field.mode === undefined ? {} : { mode: field.mode }) };
}

/** BigQuery takes parameters that the query does not use; DuckDB does not. */
function used(sql: string, parameters: Parameters): Parameters {
  for (const [, name] of sql.matchAll(/\$([A-Za-z_]\w*)/g))
    if (!Object.hasOwn(parameters, name!)) throw invalidQuery(`Query parameter '${name}' not found at [1:1]`);
  return Object.fromEntries(Object.entries(parameters).filter(([name]) => sql.includes(`$${name}`)));
}
