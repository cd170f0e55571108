import { describe, expect, test } from "vitest";
import type { Value } from "../../contracts/values.ts";
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
    test("errors say what to do, and never hold a value", async () => {
      await using database = await testDatabase(url);
      await database.sql(`
        CREATE TYPE mood AS ENUM ('sad');
        CREATE TABLE t (id bigint PRIMARY KEY, n integer, d date, v varchar(3), m mood, j json, u text UNIQUE, c text CHECK (length(c) < 3), r text NOT NULL DEFAULT '');
        INSERT INTO t (id, u) VALUES (100, 'CANARY');
        CREATE FUNCTION boom() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.id = 13 THEN RAISE EXCEPTION ''no %'', NEW.v; END IF; RETURN NEW; END';
        CREATE TRIGGER boom BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION boom()`);
      const all = {
        id: "bigint",
        n: "text",
        d: "text",
        v: "text",
        m: "text",
        j: "text",
        u: "text",
        c: "text",
        r: "text",
      };
      await using sink = destination(database);
      const writer = await sink.open(target({ shape: shapeOf(all) }), NEVER);
      const cases: [Record<string, Value>, string, RegExp][] = [
        [{ n: "CANARY" }, "destination.refused", /22P02.*type integer/],
        [{ n: '"CANARY" is out of range for type x' }, "destination.refused", /22P02.*type integer$/],
        [{ n: "99999999999" }, "destination.refused", /22003.*type integer/],
        [{ d: "CANARY" }, "destination.refused", /22007.*type date/],
        [{ v: "CANARY" }, "destination.refused", /22001/],
        [{ m: "CANARY" }, "destination.refused", /22P02.*type mood/],
        [{ j: '{"CANARY' }, "destination.refused", /22P02.*type json/],
        [{ u: "CANARY" }, "destination.refused", /23505.*constraint "t_u_key"/],
        [{ c: "CANARY" }, "destination.refused", /23514.*constraint "t_c_check"/],
        [{ r: null }, "destination.refused", /23502.*column "r"/],
        [{ id: "13", v: "CAN" }, "destination.refused", /P0001/],
        [{ c: "CANARY\0" }, "destination.refused", /"c".*NUL/],
        [{ c: "CANARY\ud800" }, "destination.refused", /"c".*Unicode/],
        [{ id: null }, "delivery.no_match", /"id"/],
        [{ nope: "CANARY" }, "destination.config", /no column "nope"/],
      ];
      for (const [fields, code, message] of cases) {
        const row = { id: "1", ...fields };
        const shape = shapeOf(Object.fromEntries(Object.keys(row).map((name) => [name, "text"])));
        for (const many of [false, true]) {
          const filler = Array.from({ length: many ? ARRAY_ROWS : 0 }, (_, index) =>
            delivery({
              shape: shapeOf(all),
              values: [String(1000 + index), null, null, null, null, null, null, null, ""],
            }),
          );
          const error = await failure(writeWith(writer, [...filler, delivery({ shape, values: Object.values(row) })]));
          expect(error.code).toBe(code);
          expect(error.message).toMatch(message);
          expect(error.cause).toBeUndefined();
          expect(`${error.message} ${error.stack} ${error.answer}`).not.toContain("CANARY");
        }
      }
      expect(await database.rows("SELECT id FROM t")).toEqual([{ id: "100" }]);
      expect(await writer.transactional!.load(NEVER)).toBeNull();
      await database.sql("DROP TABLE t");
      expect(
        (await failure(writeWith(writer, [delivery({ shape: shapeOf({ id: "text" }), values: ["1"] })]))).code,
      ).toBe("destination.config");
    });

    test("a server that is not there, a wrong password, a missing database and missing TLS are told apart", async () => {
      await using database = await testDatabase(url);
      const shape = shapeOf({ id: "bigint", name: "text" });
      const codes = async (settings: Record<string, unknown>) => {
        await using sink = destination(database, settings);
        return (await failure(sink.open(target({ shape }), NEVER))).code;
      };
      expect(await codes({ password: "wrong" })).toBe("destination.auth");
      expect(await codes({ port: 1 })).toBe("destination.unreachable");
      expect(await codes({ database: "no_such_database" })).toBe("destination.config");
      // A server without TLS is never talked to in plain text when TLS is asked for.
      await using plain = destination(database, { tls: "require" });
      expect(await failure(plain.open(target({ shape }), NEVER))).toMatchObject({
        code: "destination.unreachable",
        message: expect.stringMatching(
          /^TLS to the destination failed: the server does not offer TLS: .*choose a weaker `tls.mode` knowingly/,
        ),
      });
    });

    test("a text that is too long for a column is refused, not cut; a table that was altered is read anew", async () => {
      await using database = await testDatabase(url);
      await database.sql(
        "CREATE DOMAIN short AS varchar(3); CREATE TABLE t (id bigint PRIMARY KEY, v varchar(3), d short, c char(3), b bit(3), a varchar(3)[], n numeric(4,1))",
      );
      const names = { id: "bigint", v: "text", d: "text", c: "text", b: "text", a: "text", n: "text" };
      const shape = shapeOf(names);
      await using sink = destination(database);
      const writer = await sink.open(target({ shape }), NEVER);
      const row = (fields: Record<string, Value>) =>
        delivery({ shape, values: Object.keys(names).map((name) => (name === "id" ? "1" : (fields[name] ?? null))) });
      for (const fields of [
        { v: "long" },
        { d: "long" },
        { c: "long" },
        { b: "10101" },
        { a: "{long}" },
        { n: "1234.5" },
      ]) {
        expect((await failure(writeWith(writer, [row(fields)]))).code).toBe("destination.refused");
      }
      await writeWith(writer, [row({ v: "abc" })]);
      await database.sql("ALTER TABLE t ALTER COLUMN v TYPE text, ALTER COLUMN n TYPE bigint");
      const altered = row({ v: "long", n: "9223372036854775807" });
      // A plan or a cast that is out of date fails once at most; the next try has read the table again.
      await writeWith(writer, [altered]).catch(() => writeWith(writer, [altered]));
      expect(await database.rows("SELECT v, n FROM t")).toEqual([{ v: "long", n: "9223372036854775807" }]);
    });

    test("an abort cuts the statement off", async () => {
      await using database = await testDatabase(url);
      const shape = shapeOf({ id: "bigint", name: "text" });
      await database.sql("CREATE TABLE t (id bigint PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'a')");
      await using sink = destination(database);
      const writer = await sink.open(target({ shape }), NEVER);
      await database.sql("BEGIN; SELECT * FROM t FOR UPDATE");
      const stop = new AbortController();
      const failed = failure(
        writer.transactional!.writeWith([delivery({ shape, values: ["1", "b"] })], "one", stop.signal),
      );
      await until(
        database,
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
      );
      stop.abort();
      expect((await failed).code).toBe("destination.unknown");
      await database.sql("ROLLBACK");
    });

    test("check names what is missing, with the statement that mends it", async () => {
      await using database = await testDatabase(url);
      await database.sql(
        "CREATE TABLE users (id bigint, email text, age uuid, must text NOT NULL, full_name text GENERATED ALWAYS AS (email) STORED)",
      );
      await using sink = destination(database);
      const shape = shapeOf({ emial: "text", id: "bigint", age: "integer", full_name: "text" });
      const findings = await sink.check(
        [target({ shape, object: "users", match: ["id"] }), target({ shape, object: "user" })],
        NEVER,
      );
      const found = Object.fromEntries(findings.map((finding) => [finding.code, finding]));
      expect(found["postgres.no_unique_index"]?.fix).toBe('CREATE UNIQUE INDEX ON "public"."users" ("id");');
      expect(found["postgres.no_column"]?.message).toContain("did you mean email?");
      expect(found["postgres.no_table"]?.message).toContain("did you mean public.users?");
      expect(found["postgres.type"]?.message).toContain("age");
      expect(found["postgres.not_null"]?.message).toContain("must");
      expect(found["postgres.generated"]?.message).toContain("full_name");
      expect(await database.rows("SELECT to_regnamespace('tailrace') AS schema")).toEqual([{ schema: null }]);
    });

    test("check names missing privileges; nothing is found where all is well", async () => {
      await using database = await testDatabase(url);
      const role = `r_${database.name}`;
      await database.sql(
        `CREATE ROLE ${role} LOGIN PASSWORD 'p'; CREATE TABLE t (id bigint PRIMARY KEY, name text); GRANT SELECT ON t TO ${role}; REVOKE TEMP ON DATABASE ${database.name} FROM PUBLIC`,
      );
      try {
        const shape = shapeOf({ id: "bigint", name: "text" });
        {
          await using poor = destination(database, { user: role, password: "p" });
          const fixes = (await poor.check([target({ shape })], NEVER)).map((finding) => finding.fix);
          expect(fixes).toContain(`GRANT TEMPORARY ON DATABASE "${database.name}" TO "${role}";`);
          expect(fixes).toContain(
            `CREATE SCHEMA IF NOT EXISTS tailrace; GRANT USAGE, CREATE ON SCHEMA tailrace TO "${role}";`,
          );
          expect(fixes).toContain(`GRANT INSERT, UPDATE, DELETE ON "public"."t" TO "${role}";`);
          for (const fix of fixes) await database.sql(fix!);
          expect(await poor.check([target({ shape })], NEVER)).toEqual([]);
          const writer = await poor.open(target({ shape }), NEVER);
          await writeWith(writer, [delivery({ shape, values: ["1", "a"] })]);
          expect(await poor.check([target({ shape })], NEVER)).toEqual([]);
          await database.sql(`REVOKE ALL ON SCHEMA tailrace FROM ${role}`);
          const [revoked] = await poor.check([target({ shape })], NEVER);
          expect(revoked?.fix).toContain(`GRANT USAGE ON SCHEMA tailrace TO "${role}"`);
        }
      } finally {
        await database.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
      }
    });
  });
});
