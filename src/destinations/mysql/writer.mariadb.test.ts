import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Value } from "../../contracts/values.ts";
import { UNCHANGED } from "../../contracts/values.ts";
import { delivery, shapeOf } from "../../../test/support/deliveries.ts";
import { MARIADB_INSTALLED, type Mariadb, mariadbDatabase, startMariadb } from "../../../test/support/mariadb.ts";
import { mysqlDestination, untilWaiting } from "../../../test/support/mysql-destination.ts";
import { failure, NEVER, target, writeWith } from "../../../test/support/postgres-destination.ts";

describe.skipIf(!MARIADB_INSTALLED)("MariaDB", () => {
  let server: Mariadb;
  beforeAll(async () => {
    server = await startMariadb();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("each text becomes what its column holds", async () => {
    await using database = await mariadbDatabase(server);
    await database.sql(
      "CREATE TABLE t (id bigint unsigned PRIMARY KEY, flag tinyint(1), bits bit(8), at datetime(6), moment timestamp(3) NULL, day date, raw varbinary(10), tags json, doc json, price decimal(30,10), word varchar(10))",
    );
    const columns = {
      id: "numeric",
      flag: "boolean",
      bits: "integer",
      at: "timestamp with time zone",
      moment: "timestamp with time zone",
      day: "date",
      raw: "bytea",
      tags: "text[]",
      doc: "jsonb",
      price: "numeric",
      word: "text",
    };
    const shape = shapeOf(columns);
    await using sink = mysqlDestination(database);
    const writer = await sink.open(target({ shape }), NEVER);
    const row = (...values: Value[]) => delivery({ shape, values });
    await writeWith(writer, [
      row(
        "18446744073709551615",
        "true",
        "5",
        "2026-01-02 03:04:05.123456+05:30",
        "2026-01-02 00:00:00.5+00",
        "2026-02-28",
        "\\x00ff10",
        '["a\\"b"]',
        '{"n": 12345678901234567890.10}',
        "12345678901234567890.0123456789",
        "a\0😀",
      ),
      row(
        "0",
        "false",
        null,
        "2026-01-02 03:04:05.123456Z",
        "1999-12-31 23:00:00-02",
        null,
        "\\x",
        "[]",
        "7",
        "-0.1",
        "",
      ),
    ]);
    expect(
      await database.rows(
        "SELECT id, flag, bits + 0 AS bits, at, moment, day, HEX(raw) AS raw, tags, doc, price, HEX(word) AS word FROM t ORDER BY id",
      ),
    ).toEqual([
      {
        id: "0",
        flag: "0",
        bits: null,
        at: "2026-01-02 03:04:05.123456",
        moment: "2000-01-01 01:00:00.000",
        day: null,
        raw: "",
        tags: "[]",
        doc: "7",
        price: "-0.1000000000",
        word: "",
      },
      {
        id: "18446744073709551615",
        flag: "1",
        bits: "5",
        at: "2026-01-01 21:34:05.123456",
        moment: "2026-01-02 00:00:00.500",
        day: "2026-02-28",
        raw: "00FF10",
        tags: '["a\\"b"]',
        doc: '{"n": 12345678901234567890.10}',
        price: "12345678901234567890.0123456789",
        word: "6100F09F9880",
      },
    ]);
  });

  test("a duplicate in another unique index is refused, and the other record stays as it is", async () => {
    await using database = await mariadbDatabase(server);
    await database.sql(
      "CREATE TABLE t (n bigint AUTO_INCREMENT PRIMARY KEY, id bigint UNIQUE, email varchar(50) UNIQUE, tailrace_id varchar(99) UNIQUE)",
    );
    const shape = shapeOf({ id: "bigint", email: "text" });
    await using sink = mysqlDestination(database);
    const upserts = await sink.open(target({ shape, mode: "upsert" }), NEVER);
    const inserts = await sink.open(target({ shape, mode: "insert", sync: "i" }), NEVER);
    const events = await sink.open(target({ shape, mode: "event", sync: "e" }), NEVER);
    const put = (id: string, email: string) => delivery({ shape, values: [id, email] });
    await writeWith(upserts, [put("1", "a"), put("2", "b")]);
    expect(await failure(writeWith(upserts, [put("4", "d"), put("3", "a")]))).toMatchObject({
      code: "destination.refused",
      message: expect.stringContaining("1690"),
    });
    expect((await failure(writeWith(upserts, [put("1", "b")]))).message).toContain('index "email"');
    const create = delivery({ shape, op: "create", values: ["5", "b"] });
    expect((await failure(writeWith(inserts, [create]))).code).toBe("destination.refused");
    const event = delivery({ shape, op: "event", values: ["9", "b"] });
    expect((await failure(writeWith(events, [event]))).code).toBe("destination.refused");
    expect(await database.rows("SELECT id, email FROM t ORDER BY id")).toEqual([
      { id: "1", email: "a" },
      { id: "2", email: "b" },
    ]);
    // The same event again is dropped; the counted key of the table's own is no conflict.
    const fresh = delivery({ shape, op: "event", values: ["10", "z"] });
    await writeWith(events, [fresh]);
    await events.write([fresh], NEVER);
    await writeWith(upserts, [put("1", "c"), put("2", "a")]);
    expect(await database.rows("SELECT id, email FROM t ORDER BY id")).toEqual([
      { id: "1", email: "c" },
      { id: "2", email: "a" },
      { id: "10", email: "z" },
    ]);
  });

  test("partial rows, updates, deletes and archives touch only what they name, by the keys' own comparison", async () => {
    await using database = await mariadbDatabase(server);
    await database.sql(
      "CREATE TABLE t (region varchar(20) COLLATE utf8mb4_general_ci, id bigint, name text, n int, PRIMARY KEY (region, id)); INSERT INTO t VALUES ('EU', 9007199254740993, 'a', 1), ('EU', 9007199254740992, 'b', 2), ('us', 3, 'c', 3)",
    );
    const shape = shapeOf({ region: "text", id: "bigint", name: "text", n: "integer" });
    const match = ["region", "id"];
    await using sink = mysqlDestination(database);
    const writer = await sink.open(target({ shape, match }), NEVER);
    const row = (op: "upsert" | "update" | "delete", ...values: Value[]) =>
      delivery({ shape, op, values, matchFields: match });
    await writeWith(writer, [
      row("update", "eu", "9007199254740993", UNCHANGED, "10"),
      row("update", "xx", "1", "never", "1"),
      row("delete", "US", "3", UNCHANGED, UNCHANGED),
      row("upsert", "eu", "9007199254740992", "B", UNCHANGED),
    ]);
    expect(await database.rows("SELECT region, id, name, n FROM t ORDER BY id")).toEqual([
      { region: "EU", id: "9007199254740992", name: "B", n: "2" },
      { region: "EU", id: "9007199254740993", name: "a", n: "10" },
    ]);
  });

  test("large batches go in pieces, and a row larger than the server's packet is refused", async () => {
    await using database = await mariadbDatabase(server);
    await database.sql("CREATE TABLE t (id bigint PRIMARY KEY, name longtext)");
    const shape = shapeOf({ id: "bigint", name: "text" });
    await using sink = mysqlDestination(database);
    const writer = await sink.open(target({ shape }), NEVER);
    const rows = Array.from({ length: 3001 }, (_, id) =>
      delivery({ shape, values: [String(id), "x".repeat(id % 7 === 0 ? 2000 : 5)] }),
    );
    await writeWith(writer, rows);
    await writeWith(
      writer,
      rows.slice(0, 1500).map((each) => ({ ...each, op: "delete" as const })),
    );
    expect(await database.rows("SELECT COUNT(*) AS n, MIN(id) AS least FROM t")).toEqual([
      { n: "1501", least: "1500" },
    ]);
    const huge = delivery({ shape, values: ["1", "x".repeat(17_000_000)] });
    expect((await failure(writeWith(writer, [huge]))).code).toBe("destination.too_large");
    await writeWith(writer, [delivery({ shape, values: ["1", "y"] })]);
  });

  test("columns that come up are added; a table that was altered is read anew", async () => {
    await using database = await mariadbDatabase(server);
    await using sink = mysqlDestination(database, { create_tables: true, add_columns: true });
    const narrow = shapeOf({ id: "bigint", email: "text" });
    const writer = await sink.open(target({ shape: narrow }), NEVER);
    await writeWith(writer, [delivery({ shape: narrow, values: ["1", "a"] })]);
    const wide = shapeOf({ id: "bigint", email: "text", price: "numeric(10,2)", tags: "text[]" });
    await writeWith(writer, [delivery({ shape: wide, values: ["2", "b", "1.50", '["x"]'] })]);
    expect(await database.rows("SELECT * FROM t ORDER BY id")).toEqual([
      { id: "1", email: "a", price: null, tags: null },
      { id: "2", email: "b", price: "1.50", tags: '["x"]' },
    ]);
    await database.sql("ALTER TABLE t MODIFY email varchar(2)");
    const update = delivery({ shape: narrow, op: "update", values: ["1", "long"] });
    expect((await failure(writeWith(writer, [update]))).message).toContain('column "email"');
    await database.sql("ALTER TABLE t MODIFY email varchar(9)");
    await writeWith(writer, [update]);
    expect(await database.rows("SELECT email FROM t WHERE id = 1")).toEqual([{ email: "long" }]);
  });

  test("a deadlock is transient, and a lock that another holds is waited for", async () => {
    await using database = await mariadbDatabase(server);
    await database.sql("CREATE TABLE t (id bigint PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'a'), (2, 'b')");
    const shape = shapeOf({ id: "bigint", name: "text" });
    await using sink = mysqlDestination(database);
    const writer = await sink.open(target({ shape }), NEVER);
    // Heavier than ours, so that the server ends ours.
    await database.sql(
      "BEGIN; UPDATE t SET name = 'x' WHERE id = 2; CREATE TABLE IF NOT EXISTS other (a int) ENGINE = InnoDB",
    );
    await database.sql("BEGIN; INSERT INTO other SELECT seq FROM seq_1_to_1000; UPDATE t SET name = 'x' WHERE id = 2");
    const batch = ["1", "2"].map((id) => delivery({ shape, values: [id, "ours"] }));
    const written = failure(writeWith(writer, batch));
    await untilWaiting(database);
    await database.sql("UPDATE t SET name = 'theirs' WHERE id = 1");
    expect(await written).toMatchObject({ code: "destination.unavailable", message: expect.stringContaining("1213") });
    await database.sql("COMMIT");
    await writeWith(writer, batch);
    expect(await database.rows("SELECT name FROM t")).toEqual([{ name: "ours" }, { name: "ours" }]);
  });
});
