import { describe, expect, inject, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../test/support/postgres.ts";
import { model, replicationOn } from "../../../test/support/postgres-replication.ts";

const rows = (count: number) => (changes: readonly unknown[]) => changes.length >= count;

const servers = [
  ["18", inject("postgresUrl")],
  ["15", inject("postgres15Url")],
] as const;

// Version 15 is skipped where Debian's package is not installed; the global set-up says so.
describe.each(servers.filter(([, url]) => url !== ""))("PostgreSQL %s", (_version, url) => {
  const fresh = async (sql: string): Promise<TestDatabase> => {
    const database = await testDatabase(url);
    await database.sql(sql);
    return database;
  };

  test("rows of a table that no model names any more are passed over, and keep the others' ordinals", async () => {
    await using database = await fresh("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)");
    await using source = replicationOn(database);
    const start = await source.open(["a", "b"]);
    await database.sql(
      "BEGIN; INSERT INTO b VALUES (1); INSERT INTO a VALUES (1); INSERT INTO b VALUES (2); INSERT INTO a VALUES (2); COMMIT",
    );
    await using later = replicationOn(database);
    await later.open(["a"], [start]);
    const changes = await later.read(start.position, rows(2));
    expect(changes.map((change) => [change.relation.name, change.position.slice(-1)])).toEqual([
      ["a", "2"],
      ["a", "4"],
    ]);
    expect(later.said).toContainEqual(["info", "rows of a table that is not read any more are passed over"]);
  });

  test("a table without a usable identity is refused, not published", async () => {
    await using database = await fresh("CREATE TABLE t (id int NOT NULL UNIQUE)");
    await using source = replicationOn(database);
    await expect(source.open([{ ...model("t"), key: ["id"] }])).rejects.toMatchObject({
      code: "source.config",
      message: expect.stringContaining('ALTER TABLE "public"."t" REPLICA IDENTITY FULL'),
    });
    await database.sql("INSERT INTO t VALUES (1); UPDATE t SET id = 2");
    expect(await database.rows("SELECT FROM pg_publication")).toEqual([]);
  });

  test("the publication holds exactly the models' tables", async () => {
    await using database = await fresh(
      'CREATE TABLE "Odd ""name" (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY)',
    );
    await using source = replicationOn(database);
    const members = () => database.rows("SELECT tablename FROM pg_publication_tables ORDER BY 1");
    const start = await source.open(['Odd "name', "b"]);
    expect(await members()).toEqual([{ tablename: 'Odd "name' }, { tablename: "b" }]);
    await source.open(["b", "c"], [start]);
    expect(await members()).toEqual([{ tablename: "b" }, { tablename: "c" }]);
    await expect(source.open([model("nowhere")], [start])).rejects.toMatchObject({ code: "source.model" });
  });

  test("without the privilege, the statement to run is named", async () => {
    await using database = await fresh("CREATE TABLE t (id int PRIMARY KEY)");
    const role = `r_${database.name}`;
    await database.sql(`CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'pw'; GRANT SELECT ON t TO ${role}`);
    const address = new URL(database.url);
    address.username = role;
    address.password = "pw";
    const source = replicationOn({ name: database.name, url: address.href });
    try {
      await expect(source.open(["t"])).rejects.toMatchObject({
        code: "source.config",
        message: expect.stringContaining(`CREATE PUBLICATION "${source.slot}" FOR TABLE "public"."t"`),
      });
    } finally {
      await source[Symbol.asyncDispose]();
      await database.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  test("a publication that is not for these tables alone is not touched", async () => {
    await using database = await fresh(
      "CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION everything FOR ALL TABLES",
    );
    await using source = replicationOn(database, { publication: "everything" });
    await expect(source.open(["t"])).rejects.toMatchObject({
      code: "source.config",
      message: expect.stringContaining("FOR ALL TABLES"),
    });
  });

  test("a partition whose updates would fail is found under its root; a partition beside its root is refused", async () => {
    await using database = await fresh(`
      CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);
      CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
      CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);
      ALTER TABLE p2 REPLICA IDENTITY NOTHING`);
    await using source = replicationOn(database);
    await expect(source.open(["p"])).rejects.toMatchObject({
      code: "source.config",
      message: expect.stringContaining('"p2"'),
    });
    await database.sql("ALTER TABLE p2 REPLICA IDENTITY FULL");
    await expect(source.open(["p", "p1"])).rejects.toMatchObject({
      code: "source.config",
      message: expect.stringContaining("partition of"),
    });
    // Old rows hold what every partition's identity holds.
    const start = await source.open(["p"]);
    await database.sql("INSERT INTO p VALUES (1), (11); DELETE FROM p");
    const changes = await source.read(start.position, rows(4));
    expect(changes.slice(2).map((change) => [change.relation.name, change.before])).toEqual([
      ["p", ["1"]],
      ["p", ["11"]],
    ]);
  });
});
