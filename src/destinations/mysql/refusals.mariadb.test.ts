import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Value } from "../../contracts/values.ts";
import { delivery, shapeOf } from "../../../test/support/deliveries.ts";
import { MARIADB_INSTALLED, type Mariadb, mariadbDatabase, startMariadb } from "../../../test/support/mariadb.ts";
import { mysqlDestination } from "../../../test/support/mysql-destination.ts";
import { failure, NEVER, target, writeWith } from "../../../test/support/postgres-destination.ts";

describe.skipIf(!MARIADB_INSTALLED)("MariaDB", () => {
  let server: Mariadb;
  beforeAll(async () => {
    server = await startMariadb();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("errors say what to do, and never hold a value", async () => {
    await using database = await mariadbDatabase(server);
    await database.sql(`
      CREATE TABLE parent (id int PRIMARY KEY);
      CREATE TABLE t (id bigint PRIMARY KEY, n int, d date, v varchar(3), m enum('sad'), j json, u varchar(99) UNIQUE,
        c varchar(99) CHECK (CHAR_LENGTH(c) < 3), r varchar(99) NOT NULL DEFAULT '', p int, l varchar(99) CHARACTER SET latin1, f float,
        FOREIGN KEY (p) REFERENCES parent (id));
      INSERT INTO t (id, u) VALUES (100, 'CANARY');
      CREATE TRIGGER boom BEFORE INSERT ON t FOR EACH ROW
        IF NEW.id = 13 THEN SET @m = CONCAT('no ', NEW.v); SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = @m; END IF`);
    await using sink = mysqlDestination(database);
    const writer = await sink.open(target({ shape: shapeOf({ id: "bigint" }) }), NEVER);
    const cases: [Record<string, Value>, string, RegExp][] = [
      [{ n: "CANARY" }, "destination.refused", /1366.*column "n"/],
      [{ n: "CANARY' for column `a`.`b`.`CANARY` at row 1" }, "destination.refused", /1366.*column "n"$/],
      [{ n: "99999999999" }, "destination.refused", /1264.*column "n"/],
      [{ n: "1.5" }, "destination.refused", /"n" has a fraction/],
      [{ d: "CANARY" }, "destination.refused", /1292.*column "d"/],
      [{ d: "2026-02-30" }, "destination.refused", /1292/],
      [{ v: "CANARY" }, "destination.refused", /1406.*column "v"/],
      [{ m: "CANARY" }, "destination.refused", /1265.*column "m"/],
      [{ j: '{"CANARY' }, "destination.refused", /4025.*constraint "t.j"/],
      [{ u: "CANARY" }, "destination.refused", /\(error 1690/],
      [{ c: "CANARY" }, "destination.refused", /4025.*constraint "t.c"/],
      [{ r: null }, "destination.refused", /1048.*column "r"/],
      [{ p: "7" }, "destination.refused", /1452/],
      [{ l: "CANARY日" }, "destination.refused", /1366.*column "l"/],
      [{ f: "Infinity" }, "destination.refused", /1366.*column "f"/],
      [{ id: "13", v: "CAN" }, "destination.refused", /1644/],
      [{ c: "CANARY\ud800" }, "destination.refused", /"c".*Unicode/],
      [{ id: null }, "delivery.no_match", /"id"/],
      [{ nope: "CANARY" }, "destination.config", /no column "nope"/],
    ];
    for (const [fields, code, message] of cases) {
      const row = { id: "1", ...fields };
      const shape = shapeOf(Object.fromEntries(Object.keys(row).map((name) => [name, "text"])));
      const error = await failure(writeWith(writer, [delivery({ shape, values: Object.values(row) })]));
      expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
      expect(error.cause).toBeUndefined();
      expect(`${error.message} ${error.stack} ${error.answer}`).not.toContain("CANARY");
    }
    expect(await database.rows("SELECT id FROM t")).toEqual([{ id: "100" }]);
    expect(await writer.transactional!.load(NEVER)).toBeNull();
    await database.sql("DROP TABLE t");
    const row = delivery({ shape: shapeOf({ id: "text" }), values: ["1"] });
    expect((await failure(writeWith(writer, [row]))).code).toBe("destination.config");
  });

  test("a server that is not there, a wrong password, a missing database and missing TLS are told apart", async () => {
    await using database = await mariadbDatabase(server);
    const shape = shapeOf({ id: "bigint", name: "text" });
    const codes = async (settings: Record<string, unknown>) => {
      await using sink = mysqlDestination(database, settings);
      return (await failure(sink.open(target({ shape }), NEVER))).code;
    };
    expect(await codes({ password: "wrong" })).toBe("destination.auth");
    expect(await codes({ password: { file: "/nonexistent/secret" } })).toBe("secret.unavailable");
    expect(await codes({ port: 1 })).toBe("destination.unreachable");
    expect(await codes({ database: "no_such_database" })).toBe("destination.config");
    // A server without TLS is never talked to in plain text when TLS is asked for.
    await using plain = mysqlDestination(database, { tls: "require" });
    expect(await failure(plain.open(target({ shape }), NEVER))).toMatchObject({
      code: "destination.unreachable",
      message: expect.stringContaining("the server does not offer TLS"),
    });
  });

  test("check names what is missing, with the statement that mends it", async () => {
    await using database = await mariadbDatabase(server);
    await database.sql(
      "CREATE TABLE users (id bigint, email text, age date, must text NOT NULL, at datetime, full_name text GENERATED ALWAYS AS (email)) ENGINE = MyISAM",
    );
    await using sink = mysqlDestination(database);
    const shape = shapeOf({
      emial: "text",
      id: "bigint",
      age: "integer",
      at: "timestamp with time zone",
      full_name: "text",
    });
    const findings = await sink.check(
      [target({ shape, object: "users", match: ["id"] }), target({ shape, object: "user" })],
      NEVER,
    );
    const found = Object.fromEntries(findings.map((finding) => [finding.code, finding]));
    const name = `\`${database.name}\`.\`users\``;
    expect(found["mysql.no_unique_index"]?.fix).toBe(`ALTER TABLE ${name} ADD UNIQUE (\`id\`);`);
    expect(found["mysql.no_column"]?.message).toContain("did you mean email?");
    expect(found["mysql.no_table"]?.message).toContain(`did you mean ${database.name}.users?`);
    expect(findings.filter(({ code }) => code === "mysql.type").map(({ message }) => message)).toEqual([
      expect.stringContaining("Field age is integer"),
      expect.stringContaining("rounds fractions"),
    ]);
    expect(found["mysql.not_null"]?.message).toContain("must");
    expect(found["mysql.generated"]?.message).toContain("full_name");
    expect(found["mysql.engine"]?.fix).toContain("ENGINE = InnoDB");
    expect(await database.rows("SHOW TABLES")).toHaveLength(1);
    // What `no_table` prints can be run.
    await database.sql(/CREATE TABLE[^]*;/.exec(found["mysql.no_table"]?.fix ?? "")![0]);
    const after = await sink.check([target({ shape, object: "user" })], NEVER);
    expect(after.filter(({ level }) => level === "error")).toEqual([]);
  });

  test("check names missing privileges; nothing is found where all is well", async () => {
    await using database = await mariadbDatabase(server);
    const user = `u_${database.name}`.slice(0, 30);
    await database.sql(
      `CREATE USER ${user}@'%' IDENTIFIED BY 'p'; CREATE TABLE t (id bigint PRIMARY KEY, name text); GRANT SELECT ON t TO ${user}@'%'`,
    );
    const shape = shapeOf({ id: "bigint", name: "text" });
    // Grants on a database are for connections that come after them.
    const connect = () => mysqlDestination(database, { user, password: "p" });
    const errors = async () => {
      await using poor = connect();
      const findings = await poor.check([target({ shape })], NEVER);
      return findings.filter(({ level }) => level === "error").map(({ fix }) => fix ?? "");
    };
    const fixes = await errors();
    expect(fixes).toEqual([
      expect.stringMatching(`^GRANT CREATE ON \`${database.name}\`.* TO '${user}'@'%';`),
      `GRANT INSERT, UPDATE, DELETE ON \`${database.name}\`.\`t\` TO '${user}'@'%';`,
      `GRANT CREATE TEMPORARY TABLES ON \`${database.name}\`.* TO '${user}'@'%';`,
    ]);
    for (const fix of fixes.slice(1)) await database.sql(fix);
    // The other way: the table is made beforehand.
    await database.sql(fixes[0]!.slice(fixes[0]!.indexOf("CREATE TABLE")));
    expect(await errors()).toEqual([]);
    await using poor = connect();
    const writer = await poor.open(target({ shape }), NEVER);
    await writeWith(writer, [delivery({ shape, values: ["1", "a"] })]);
    await writeWith(writer, [delivery({ shape, op: "delete", values: ["1", "a"] })]);
    await database.sql(`REVOKE UPDATE ON ${database.name}.tailrace_progress FROM ${user}@'%'`);
    expect(await errors()).toEqual([expect.stringContaining("GRANT UPDATE ON")]);
  });
});
