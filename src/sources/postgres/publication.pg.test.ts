import { describe, expect, inject, test } from "vitest";
import { UNCHANGED } from "../../contracts/values.ts";
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

  test("tables that inherit from a model's are not published with it, nor taken out with it", async () => {
    await using database = await fresh(`
      CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
      CREATE TABLE other (id int PRIMARY KEY)`);
    await using source = replicationOn(database);
    const members = () => database.rows("SELECT tablename FROM pg_publication_tables ORDER BY 1");
    const start = await source.open(["parent", "other"]);
    expect(await members()).toEqual([{ tablename: "other" }, { tablename: "parent" }]);
    await database.sql("INSERT INTO child VALUES (1); INSERT INTO parent VALUES (2)");
    const changes = await source.read(start.position, rows(1));
    expect(changes.map((change) => [change.relation.name, change.after])).toEqual([["parent", ["2"]]]);
    let at = await source.open(["other"], [start]);
    for (const tables of [
      ["other", "child"],
      ["other", "child", "parent"],
      ["other", "child"],
    ])
      at = await source.open(tables, [at]);
    expect(await members()).toEqual([{ tablename: "child" }, { tablename: "other" }]);
  });

  test("a publication that the settings name keeps its other tables; their rows are passed over", async () => {
    await using database = await fresh(`
      CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE theirs (id int PRIMARY KEY);
      CREATE PUBLICATION shared FOR TABLE theirs WITH (publish_via_partition_root = true)`);
    await using source = replicationOn(database, { publication: "shared", publicationShared: true });
    const start = await source.open(["t"]);
    expect(await database.rows("SELECT tablename FROM pg_publication_tables ORDER BY 1")).toEqual([
      { tablename: "t" },
      { tablename: "theirs" },
    ]);
    expect(start.incarnation).not.toContain("theirs");
    await database.sql("INSERT INTO theirs VALUES (1); INSERT INTO t VALUES (2)");
    const changes = await source.read(start.position, rows(1));
    expect(changes.map((change) => change.relation.name)).toEqual(["t"]);
  });

  test("a table whose whole schema is published is a member", async () => {
    await using database = await fresh(`
      CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE theirs (id int PRIMARY KEY);
      CREATE PUBLICATION shared FOR TABLES IN SCHEMA public WITH (publish_via_partition_root = true)`);
    await using source = replicationOn(database, { publication: "shared", publicationShared: true });
    const start = await source.open(["t"]);
    expect(await database.rows("SELECT FROM pg_publication_rel")).toEqual([]);
    await database.sql("INSERT INTO theirs VALUES (1); INSERT INTO t VALUES (2)");
    const changes = await source.read(start.position, rows(1));
    expect(changes.map((change) => change.relation.name)).toEqual(["t"]);
    await database.sql("ALTER PUBLICATION shared DROP TABLES IN SCHEMA public; ALTER PUBLICATION shared ADD TABLE t");
    await expect(source.open(["t"], [start])).rejects.toMatchObject({ code: "source.gap.publication" });
  });

  test("what a publication hides is refused when it is opened, with the statement that mends it", async () => {
    await using database = await fresh(`
      CREATE TABLE t (id int PRIMARY KEY, v text);
      CREATE PUBLICATION pub FOR TABLE t WHERE (id > 5) WITH (publish = 'insert')`);
    await using source = replicationOn(database, { publication: "pub", publicationShared: true });
    const refused = async (message: RegExp) => {
      const error = (await source.open(["t"]).catch((thrown: unknown) => thrown)) as Error;
      expect(error).toMatchObject({ code: "source.config", message: expect.stringMatching(message) });
      await database.sql(/Run: (.*)$/.exec(error.message)![1]!);
    };
    await refused(/row filter on "public"."t"/);
    await database.sql("ALTER PUBLICATION pub SET TABLE t (id)");
    await refused(/column list on "public"."t" that leaves out v/);
    // The kinds of change that were left out are published from now on.
    const start = await source.open(["t"]);
    await database.sql("INSERT INTO t VALUES (1, 'a'); UPDATE t SET v = 'b'; DELETE FROM t");
    const changes = await source.read(start.position, rows(3));
    expect(changes.map((change) => change.op)).toEqual(["insert", "update", "delete"]);
  });

  test("generated columns that the publication leaves out are named", async ({ skip }) => {
    await using database = await fresh(`
      CREATE TABLE t (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED);
      CREATE PUBLICATION pub FOR TABLE t WITH (publish_via_partition_root = true)`);
    const [server] = await database.rows("SHOW server_version_num");
    if (Number(server!["server_version_num"]) < 180000) skip("generated columns are published from 18 on");
    await using source = replicationOn(database, { publication: "pub", publicationShared: true });
    await source.open(["t"]);
    const warned = source.said.filter(([level]) => level === "warn").map(([, message]) => message);
    expect(warned).toEqual([expect.stringContaining('twice of "public"."t"')]);
    const [statement] = /ALTER PUBLICATION .*\)/.exec(warned[0]!)!;
    await database.sql(statement);
    await using later = replicationOn(database, { publication: "pub", publicationShared: true });
    await later.open(["t"]);
    expect(later.said.filter(([level]) => level === "warn")).toEqual([]);
  });

  test("old rows of a partition that is not FULL are not taken for whole ones, though its root is", async () => {
    await using database = await fresh(`
      CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
      CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
      ALTER TABLE p REPLICA IDENTITY FULL; ALTER TABLE p1 REPLICA IDENTITY FULL`);
    await using source = replicationOn(database);
    const start = await source.open(["p"]);
    // p1 is FULL, then it is not; p2 never is: neither is what the catalogue said when reading began.
    await database.sql("INSERT INTO p VALUES (1, 'a'), (2, 'b'); DELETE FROM p WHERE id = 1");
    await database.sql("ALTER TABLE p1 REPLICA IDENTITY DEFAULT; DELETE FROM p WHERE id = 2");
    await database.sql(
      "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20); INSERT INTO p VALUES (11, 'c'); UPDATE p SET id = 12; DELETE FROM p",
    );
    const changes = await source.read(start.position, rows(7));
    expect(changes.map(({ op, before, relation }) => [op, before, relation.oldRows])).toEqual([
      ["insert", null, "full"],
      ["insert", null, "full"],
      ["delete", ["1", "a"], "full"],
      ["delete", ["2", UNCHANGED], "key"],
      ["insert", null, "key"],
      ["update", ["11", UNCHANGED], "key"],
      ["delete", ["12", UNCHANGED], "key"],
    ]);
    // And from the catalogue alone, before a partition was announced.
    await using later = replicationOn(database);
    const then = await later.open(["p"], [start]);
    const again = await later.read(then.position, rows(7));
    expect(again.map(({ before }) => before).slice(3)).toEqual(changes.map(({ before }) => before).slice(3));
  });
});
