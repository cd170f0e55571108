// A value has the same text whether the log brings it or a query.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  MARIADB_INSTALLED,
  type Mariadb,
  type MariadbDatabase,
  mariadbDatabase,
} from "../../../test/support/mariadb.ts";
import { count, mysqlSource, readUntil, startBinlogServer, tableModel } from "../../../test/support/mysql-source.ts";
import { TYPE_CASES } from "../../../test/support/mysql-types.ts";

const { signal } = new AbortController();
const ALL = { rows: 10_000, bytes: 1e8 };

describe.skipIf(!MARIADB_INSTALLED).each(["FULL", "MINIMAL", "NO_LOG"])("types, binlog_row_metadata %s", (metadata) => {
  let server: Mariadb;
  let database: MariadbDatabase;
  beforeAll(async () => {
    server = await startBinlogServer({ settings: { "binlog-row-metadata": metadata } });
    database = await mariadbDatabase(server);
  });
  afterAll(async () => {
    await database?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  test("every type has the same texts from the log as from a query", async () => {
    const columns = TYPE_CASES.map(({ type }, i) => `c${i} ${type}`).join(", ");
    await database.sql(`SET sql_mode = ''; CREATE TABLE types (id int PRIMARY KEY, ${columns})`);
    await using source = mysqlSource(database.url);
    const start = await source.open([tableModel("types")], [], signal);
    const most = Math.max(...TYPE_CASES.map(({ values }) => values.length));
    for (let i = 0; i <= most; i += 1) {
      const values = TYPE_CASES.map(({ values: each }) => each[i] ?? "NULL");
      await database.sql(`INSERT INTO types VALUES (${[i, ...values].join(", ")})`);
    }
    const { changes } = await readUntil(source, start.position, count(most + 1));
    const { rows, relation } = await source.snapshot(tableModel("types"), null, ALL, signal);
    expect(relation).toBe(changes[0]!.relation);
    const byColumn = (values: readonly unknown[]) =>
      Object.fromEntries(TYPE_CASES.map(({ type }, i) => [`${i} ${type}`, values[i + 1]]));
    for (const [i, row] of rows.entries()) expect(byColumn(changes[i]!.after!)).toEqual(byColumn(row));
  });

  test("texts are those that the server prints", async () => {
    await using source = mysqlSource(database.url);
    const { rows } = await source.snapshot(tableModel("types"), null, ALL, signal);
    const printed = await database.rows("SELECT * FROM types ORDER BY id");
    const own = /^(float|double|bit|binary|varbinary|tinyblob|blob|longblob|point|geometry|int\(8\))/;
    for (const [place, { type }] of TYPE_CASES.entries()) {
      if (own.test(type)) continue;
      expect([type, ...rows.map((row) => row[place + 1])]).toEqual([type, ...printed.map((row) => row[`c${place}`])]);
    }
  });
});
