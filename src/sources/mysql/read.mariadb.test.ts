import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  MARIADB_INSTALLED,
  type Mariadb,
  type MariadbDatabase,
  mariadbDatabase,
} from "../../../test/support/mariadb.ts";
import {
  count,
  mysqlSource,
  plain,
  readUntil,
  startBinlogServer,
  tableModel,
} from "../../../test/support/mysql-source.ts";

const { signal } = new AbortController();

describe.skipIf(!MARIADB_INSTALLED)("the binary log of MariaDB", () => {
  let server: Mariadb;
  let database: MariadbDatabase;
  beforeAll(async () => {
    server = await startBinlogServer();
    database = await mariadbDatabase(server);
  });
  afterAll(async () => {
    await database?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  test("rows come in order, each with its own position, under one relation", async () => {
    await database.sql("CREATE TABLE t (id bigint PRIMARY KEY, name varchar(40), n int unsigned)");
    await using source = mysqlSource(database.url);
    const start = await source.open([tableModel("t")], [], signal);
    await database.sql("INSERT INTO t VALUES (9223372036854775807, 'zoë 😀', 4294967295), (2, NULL, 0)");
    await database.sql("UPDATE t SET n = 7 WHERE id = 2; DELETE FROM t WHERE id = 2");
    const { changes, end } = await readUntil(source, start.position, count(4));
    expect(plain(changes)).toEqual([
      { op: "insert", before: null, after: ["9223372036854775807", "zoë 😀", "4294967295"] },
      { op: "insert", before: null, after: ["2", null, "0"] },
      { op: "update", before: ["2", null, "0"], after: ["2", null, "7"] },
      { op: "delete", before: ["2", null, "7"], after: null },
    ]);
    const positions = changes.map(({ position }) => position);
    expect(positions).toEqual([...new Set(positions)].sort());
    expect(end > positions.at(-1)!).toBe(true);
    expect(new Set(changes.map(({ relation }) => relation)).size).toBe(1);
    expect(changes[0]!.relation).toBe(await source.describe(tableModel("t"), signal));
    // From every position the reading goes on with the next change, at the same place.
    for (const [i, position] of positions.entries()) {
      const again = i === positions.length - 1 ? [] : (await readUntil(source, position, count(3 - i))).changes;
      expect(again.map((change) => change.position)).toEqual(positions.slice(i + 1));
    }
  });
});
