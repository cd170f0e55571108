import { describe, expect, test } from "vitest";
import { UNCHANGED, type Value } from "../../contracts/values.ts";
import { delivery, shapeOf } from "../../../test/support/deliveries.ts";
import { testDatabase } from "../../../test/support/postgres.ts";
import {
  destination,
  NEVER,
  SERVERS,
  target,
  until,
  writeWith,
  failure,
} from "../../../test/support/postgres-destination.ts";
import { ARRAY_ROWS } from "./writer.ts";

describe.each(SERVERS)("PostgreSQL $version", ({ version, url }) => {
  describe.skipIf(url === "")(url === "" ? `PostgreSQL ${version} is not installed` : "destination", () => {
    // One row goes as parameters, the many through COPY: every case is run both ways.
    describe.each([
      { way: "arrays", filler: 0 },
      { way: "COPY", filler: ARRAY_ROWS },
    ])("through $way", ({ filler }) => {
      const shape = shapeOf({ id: "bigint", name: "text", note: "text" });
      const fill = (): ReturnType<typeof delivery>[] =>
        Array.from({ length: filler }, (_, index) =>
          delivery({ shape, values: [String(1_000_000 + index), "filler", null] }),
        );

      test("each operation does what it says", async () => {
        await using database = await testDatabase(url);
        await database.sql(
          "CREATE TABLE t (id bigint PRIMARY KEY, name text DEFAULT 'default', note text); INSERT INTO t VALUES (1,'a','x'),(2,'b','x'),(3,'c','x'),(4,'d','x'),(5,'e','x'),(6,'f','x')",
        );
        await using sink = destination(database);
        const writer = await sink.open(target({ shape }), NEVER);
        const match = shapeOf({ id: "bigint" });
        const archive = shapeOf({ id: "bigint", note: "text" });
        const batch = [
          ...fill(),
          delivery({ shape, op: "upsert", values: ["1", "A", null] }),
          delivery({ shape, op: "upsert", values: ["7", "new", "x"] }),
          delivery({ shape, op: "update", values: ["2", "B", UNCHANGED] }),
          delivery({ shape, op: "update", values: ["99", "nobody", "x"] }),
          delivery({ shape: match, op: "delete", values: ["3"] }),
          delivery({ shape: archive, op: "archive", values: ["4", "gone"] }),
          delivery({ shape, op: "clear", values: ["5", null, null] }),
          delivery({ shape, op: "create", values: ["6", "stays f", "x"] }),
          delivery({ shape, op: "create", values: ["8", UNCHANGED, "x"] }),
        ];
        const outcomes = await writeWith(writer, batch);
        expect(outcomes).toHaveLength(batch.length);
        expect(outcomes.every((outcome) => outcome.status === "delivered")).toBe(true);
        const rows = await database.rows("SELECT * FROM t WHERE id < 1000 ORDER BY id");
        expect(rows.map((row) => [row["id"], row["name"], row["note"]])).toEqual([
          ["1", "A", null],
          ["2", "B", "x"],
          ["4", "d", "gone"],
          ["5", null, null],
          ["6", "f", "x"],
          ["7", "new", "x"],
          ["8", "default", "x"],
        ]);
        expect(await database.rows("SELECT count(*) FROM t WHERE id >= 1000")).toEqual([{ count: String(filler) }]);
      });

      test("an unchanged field keeps the target's value, also beside rows that change it", async () => {
        await using database = await testDatabase(url);
        await database.sql(
          "CREATE TABLE t (id bigint PRIMARY KEY, name text, note text); INSERT INTO t VALUES (1,'a','keep'),(2,'b','x'),(3,'keep','x')",
        );
        await using sink = destination(database);
        const writer = await sink.open(target({ shape }), NEVER);
        await writeWith(writer, [
          ...fill(),
          delivery({ shape, values: ["1", "A", UNCHANGED] }),
          delivery({ shape, values: ["2", "B", null] }),
          delivery({ shape, values: ["3", UNCHANGED, "X"] }),
        ]);
        expect(await database.rows("SELECT * FROM t WHERE id < 1000 ORDER BY id")).toEqual([
          { id: "1", name: "A", note: "keep" },
          { id: "2", name: "B", note: null },
          { id: "3", name: "keep", note: "X" },
        ]);
      });

      test("keys that share a match value take effect in order", async () => {
        await using database = await testDatabase(url);
        await database.sql("CREATE TABLE t (id bigint, name text UNIQUE, note text)");
        await using sink = destination(database);
        const writer = await sink.open(target({ shape, match: ["name"] }), NEVER);
        const named = { shape, matchFields: ["name"] };
        await writeWith(writer, [
          ...Array.from({ length: filler }, (_, index) =>
            delivery({ ...named, values: [String(1_000_000 + index), `n${index}`, null] }),
          ),
          delivery({ ...named, values: ["1", "same", "first"] }),
          delivery({ ...named, op: "delete", values: ["1", "same", null] }),
          delivery({ ...named, values: ["2", "same", "last"] }),
        ]);
        expect(await database.rows("SELECT * FROM t WHERE id < 1000")).toEqual([
          { id: "2", name: "same", note: "last" },
        ]);
      });

      test("every value arrives as it was", async () => {
        await using database = await testDatabase(url);
        await database.sql("CREATE TYPE mood AS ENUM ('sad', 'so so'); CREATE DOMAIN short AS varchar(3)");
        const types: Record<string, [string, string[]]> = {
          s: [
            "text",
            [
              "",
              " ",
              "\\N",
              "\\",
              "\\\\",
              "\\.",
              "\\n",
              "\t",
              "\n",
              "\r\n",
              "\u000b\b\f",
              "'\"`$1;--",
              "NULL",
              "null",
              "{}",
              '{"a"}',
              "ünïcødé 🜚 \u2028",
              "a\\\tb\nc",
              "\u007f\u0001",
            ],
          ],
          big: ["bigint", ["9223372036854775807", "-9223372036854775808"]],
          num: ["numeric", ["123456789012345678901234567890.000000000012345000", "NaN", "Infinity", "-0.0001"]],
          dbl: ["double precision", ["1.7976931348623157e+308", "-Infinity", "0.30000000000000004"]],
          js: ["json", ['{"a": 1.10,  "a":"\\u00e9\\\\", "b":[null]}', '"x\\ty"']],
          jb: ["jsonb", ['{"n": 12345678901234567890.10}']],
          arr: ["text[]", ['{a,"b,c",NULL,"NULL","q\\"\\\\",""}', "{}"]],
          ints: ["integer[]", ["{{1,2},{3,NULL}}"]],
          bin: ["bytea", ["\\x", "\\x00ff5c0a"]],
          ts: ["timestamp with time zone", ["infinity", "2024-02-29 23:59:59.999999+00", "0044-03-15 00:00:00+00 BC"]],
          iv: ["interval", ["1 year 2 mons -3 days +04:05:06.789"]],
          b: ["boolean", ["true", "false"]],
          c3: ["character(3)", ["ab ", "abc"]],
          v3: ["character varying(3)", ["abc", ""]],
          dm: ["short", ["abc"]],
          bits: ["bit(4)", ["1010"]],
          md: ["mood", ["so so"]],
          u: ["uuid", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]],
          rng: ["int8range", ["[1,10)", "empty"]],
          ip: ["inet", ["10.0.0.1/8", "::1"]],
        };
        const names = Object.keys(types);
        await database.sql(
          `CREATE TABLE t (id bigint PRIMARY KEY, ${names.map((name) => `${name} ${types[name]![0]}`).join(", ")})`,
        );
        const wide = shapeOf({ id: "bigint", ...Object.fromEntries(names.map((name) => [name, types[name]![0]])) });
        const rounds = Math.max(...names.map((name) => types[name]![1].length));
        const sent: Value[][] = [];
        for (let round = 0; round < rounds + 1; round += 1) {
          sent.push([String(round), ...names.map((name) => types[name]![1][round] ?? null)]);
        }
        const many = Array.from({ length: filler }, (_, index) => [
          String(1_000_000 + index),
          ...names.map(() => null),
        ]);
        await using sink = destination(database);
        const writer = await sink.open(target({ shape: wide }), NEVER);
        await writeWith(
          writer,
          [...many, ...sent].map((values) => delivery({ shape: wide, values })),
        );
        // What the database makes of the literals themselves is what must have arrived; text and json are checked byte for byte.
        const casts = names.map((name, index) => `$${index + 1}::text::${types[name]![0]}::text AS ${name}`).join(", ");
        const got = await database.rows(
          `SELECT ${names.map((name) => `${name}::text`).join(", ")} FROM t WHERE id < 1000 ORDER BY id`,
        );
        expect(got).toHaveLength(sent.length);
        for (const [round, values] of sent.entries()) {
          await database.client.query("SET TimeZone = 'UTC'");
          const [expected] = await database.rows(`SELECT ${casts}`, values.slice(1));
          expect(got[round]).toEqual(expected);
          expect(got[round]!["s"]).toBe(values[1]);
          expect(got[round]!["js"]).toBe(values[1 + names.indexOf("js")]);
        }
      });

      test("hostile names of tables and columns are only names", async () => {
        await using database = await testDatabase(url);
        const table = `a"b'; DROP TABLE x; --`;
        const column = `c"\\'$1 ?\n`;
        const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;
        await database.sql(
          `CREATE SCHEMA "s""1"; CREATE TABLE "s""1".${quote(table)} (${quote(column)} text PRIMARY KEY, "select" text)`,
        );
        const odd = shapeOf({ [column]: "text", select: "text" });
        await using sink = destination(database);
        const writer = await sink.open(target({ shape: odd, object: `"s""1".${quote(table)}` }), NEVER);
        const many = Array.from({ length: filler }, (_, index) =>
          delivery({ shape: odd, values: [`f${index}`, null] }),
        );
        await writeWith(writer, [...many, delivery({ shape: odd, values: ["k", "v"] })]);
        await writeWith(writer, [delivery({ shape: odd, op: "update", values: ["k", "w"] })]);
        expect(await database.rows(`SELECT "select" FROM "s""1".${quote(table)} WHERE ${quote(column)} = 'k'`)).toEqual(
          [{ select: "w" }],
        );
      });

      test("a session that is ended before the commit leaves neither rows nor progress", async () => {
        await using database = await testDatabase(url);
        // The trigger holds the writer after its rows are in, before the commit.
        await database.sql(`
          CREATE TABLE t (id bigint PRIMARY KEY, name text, note text);
          CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NULL; END';
          CREATE TRIGGER hold AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION hold()`);
        await using sink = destination(database);
        const writer = await sink.open(target({ shape }), NEVER);
        await database.sql("SELECT pg_advisory_lock(42)");
        const batch = [
          ...fill(),
          delivery({ shape, values: ["1", "a", "b"] }),
          delivery({ shape, op: "delete", values: ["2", null, null] }),
        ];
        const failed = failure(writeWith(writer, batch, "one"));
        const { pid } = await until(
          database,
          "SELECT pid FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()",
        );
        await database.rows("SELECT pg_terminate_backend($1)", [pid]);
        expect((await failed).consequence).toBe("transient");
        await database.sql("SELECT pg_advisory_unlock(42)");
        expect(await database.rows("SELECT count(*) FROM t")).toEqual([{ count: "0" }]);
        expect(await writer.transactional!.load(NEVER)).toBeNull();
        await writeWith(writer, batch, "one");
        expect(await database.rows("SELECT count(*) FROM t")).toEqual([{ count: String(filler + 1) }]);
        expect(await writer.transactional!.load(NEVER)).toBe("one");
      });

      test("a session that is ended during the commit: the outcome is unknown", async () => {
        await using database = await testDatabase(url);
        await database.sql(`
          CREATE TABLE t (id bigint PRIMARY KEY, name text, note text);
          CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(43); RETURN NULL; END';
          CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold()`);
        await using sink = destination(database);
        const writer = await sink.open(target({ shape }), NEVER);
        await database.sql("SELECT pg_advisory_lock(43)");
        const failed = failure(writeWith(writer, [...fill(), delivery({ shape, values: ["1", "a", "b"] })], "one"));
        const { pid } = await until(
          database,
          "SELECT pid FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()",
        );
        await database.rows("SELECT pg_terminate_backend($1)", [pid]);
        expect((await failed).code).toBe("destination.unknown");
        expect(await writer.transactional!.load(NEVER)).toBeNull();
      });

      test("a batch that is sent again with its progress is written once, another batch is not taken for it", async () => {
        await using database = await testDatabase(url);
        await database.sql("CREATE TABLE t (id bigint, name text, note text)");
        await using sink = destination(database);
        const writer = await sink.open(target({ shape, mode: "event" }), NEVER);
        const event = (id: string) => delivery({ shape, op: "event", values: [id, "x", null] });
        const many = Array.from({ length: filler }, (_, index) => event(String(1_000_000 + index)));
        const batch = [...many, event("1"), event("2")];
        await writeWith(writer, batch, "one");
        expect(await writeWith(writer, batch, "one")).toHaveLength(batch.length);
        expect(await database.rows("SELECT count(*) FROM t WHERE id < 1000")).toEqual([{ count: "2" }]);
        await writeWith(writer, [event("3")], "one");
        expect(await database.rows("SELECT count(*) FROM t WHERE id < 1000")).toEqual([{ count: "3" }]);
        expect(await database.rows("SELECT sync, progress FROM tailrace.progress")).toEqual([
          { sync: "s", progress: "one" },
        ]);
      });
    });

    test("an event carries its id, change and time where the table has columns for them", async () => {
      await using database = await testDatabase(url);
      const shape = shapeOf({ id: "bigint", plan: "text" });
      await using sink = destination(database, { create_tables: true });
      const writer = await sink.open(target({ shape, mode: "event", object: "events" }), NEVER);
      const event = delivery({
        shape,
        op: "event",
        change: "delete",
        values: ["1", "free"],
        committedAt: 1_700_000_000_123_456n,
      });
      await writer.write([event], NEVER);
      await writer.write([event], NEVER);
      await database.sql("SET TimeZone = 'UTC'");
      expect(await database.rows("SELECT * FROM events")).toEqual([
        {
          id: "1",
          plan: "free",
          tailrace_id: event.id,
          tailrace_change: "delete",
          tailrace_committed_at: "2023-11-14 22:13:20.123456+00",
        },
      ]);
    });

    test("an event without what its row had leaves those columns alone", async () => {
      await using database = await testDatabase(url);
      await database.sql("CREATE TABLE events (id bigint, plan text DEFAULT 'unknown')");
      const shape = shapeOf({ id: "bigint", plan: "text" });
      await using sink = destination(database, {});
      const writer = await sink.open(target({ shape, mode: "event", object: "events" }), NEVER);
      const gone = delivery({ shape, op: "event", change: "delete", values: ["1", UNCHANGED] });
      const made = delivery({ shape, op: "event", change: "insert", values: ["2", "free"] });
      await writer.write([gone, made], NEVER);
      expect(await database.rows("SELECT * FROM events ORDER BY id")).toEqual([
        { id: "1", plan: "unknown" },
        { id: "2", plan: "free" },
      ]);
    });

    test("creates the table with the source's types, and adds columns that come up later", async () => {
      await using database = await testDatabase(url);
      const shape = shapeOf({
        id: "bigint",
        at: "timestamp with time zone",
        price: "numeric(10,2)",
        tags: "text[]",
        odd: "int); DROP TABLE t; --",
        mysql: "bigint(20) unsigned",
        none: "no_such_type",
      });
      await using sink = destination(database, { create_tables: true, add_columns: true });
      const writer = await sink.open(target({ shape }), NEVER);
      const columns = () =>
        database.rows(
          "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum",
        );
      expect((await columns()).map((row) => row["type"])).toEqual([
        "bigint",
        "timestamp with time zone",
        "numeric",
        "text[]",
        "text",
        "text",
        "text",
      ]);
      await writeWith(writer, [delivery({ shape, values: ["1", null, null, null, null, null, null] })]);
      const later = shapeOf({ id: "bigint", extra: "jsonb" });
      await writeWith(writer, [delivery({ shape: later, values: ["1", "[1]"] })]);
      expect(await database.rows("SELECT extra FROM t")).toEqual([{ extra: "[1]" }]);
    });

    test("throughput (for information)", async () => {
      await using database = await testDatabase(url);
      await database.sql(
        "CREATE TABLE t (id bigint PRIMARY KEY, name text, email text, amount numeric, active boolean, at timestamptz)",
      );
      const shape = shapeOf({
        id: "bigint",
        name: "text",
        email: "text",
        amount: "numeric",
        active: "boolean",
        at: "timestamp with time zone",
      });
      await using sink = destination(database);
      const writer = await sink.open(target({ shape }), NEVER);
      let elapsedMs = 0;
      for (let round = 0; round < 10; round += 1) {
        const batch = Array.from({ length: 5000 }, (_, index) => {
          const id = round * 5000 + index;
          return delivery({
            shape,
            values: [
              String(id),
              `name ${id}`,
              `user${id}@example.com`,
              `${id}.25`,
              "true",
              "2024-05-01 12:00:00.123456+00",
            ],
          });
        });
        const start = performance.now();
        await writeWith(writer, batch);
        elapsedMs += performance.now() - start;
      }
      console.log(`PostgreSQL ${version}: ${Math.round(50_000 / (elapsedMs / 1000))} rows/s in batches of 5000`);
      expect(await database.rows("SELECT count(*) FROM t")).toEqual([{ count: "50000" }]);
    });
  });
});
