import type pg from "pg";
import { afterAll, beforeAll, describe as suite, expect, inject, test } from "vitest";
import type { TableModel } from "../../contracts/model.ts";
import { type TestDatabase, testDatabase } from "../../../test/support/postgres.ts";
import { describeTable } from "./catalog.ts";
import { close, connect } from "./connection.ts";
import { describe } from "./describe.ts";
import { explain } from "./explain.ts";
import { tableModel } from "../../../test/support/models.ts";

const OPTIONS = { schema: "public", publication: "none" };

function model(name: string, key: readonly string[] | null = null, namespace: string | null = null): TableModel {
  return tableModel(name, { model: "m", namespace, key });
}

suite.each([
  { server: "PostgreSQL 18", version: 18, url: inject("postgresUrl") },
  { server: "PostgreSQL 15", version: 15, url: inject("postgres15Url") },
])("describing on $server", ({ version, url }) => {
  const missing = url === "";
  let database: TestDatabase;
  let client: pg.Client;

  beforeAll(async () => {
    if (missing) return;
    database = await testDatabase(url);
    client = await connect({ url: database.url }, { replication: false, signal: AbortSignal.timeout(10_000) });
  });
  afterAll(async () => {
    if (missing) return;
    await close(client);
    await database[Symbol.asyncDispose]();
  });

  const problem = (of: TableModel) =>
    describe(client, of, OPTIONS).then(
      () => null,
      (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
    );

  test.skipIf(missing)("columns in the table's order, without those that are gone or not in the log", async () => {
    await database.sql(`CREATE DOMAIN price AS numeric(10, 2);
      CREATE TABLE t (gone int, id int8 PRIMARY KEY, p price NOT NULL, twice int8 GENERATED ALWAYS AS (id * 2) STORED, tags text[]);
      ALTER TABLE t DROP COLUMN gone`);
    const { relation, table, index } = await describe(client, model("t"), OPTIONS);
    const stored = version >= 18 ? ["twice bigint"] : [];
    expect(relation.columns.map(({ name, type }) => `${name} ${type}`)).toEqual([
      "id bigint",
      "p numeric",
      ...stored,
      "tags text[]",
    ]);
    expect(relation.columns.map(({ nullable }) => nullable).slice(0, 2)).toEqual([false, false]);
    expect({ ...relation, columns: [] }).toEqual({
      id: table.oid,
      namespace: "public",
      name: "t",
      version: 0,
      columns: [],
      key: [0],
      oldRows: "key",
      keptPlaces: [0],
    });
    expect(table.columns.map(({ sqlType }) => sqlType)).toEqual(["bigint", "numeric(10,2)", "bigint", "text[]"]);
    expect(index.name).toBe("t_pkey");
    await database.sql("CREATE PUBLICATION without FOR TABLE t; ALTER TABLE t REPLICA IDENTITY FULL");
    const again = await describe(client, model("t"), { schema: "public", publication: "without" });
    expect(again.relation.columns.map(({ name }) => name)).toEqual(["id", "p", "tags"]);
    expect(again.relation.oldRows).toBe("full");
    expect(explain(again, { slot: "slot", publication: "pub" })).toMatchObject({
      kind: "log",
      cost: expect.stringContaining("whole old row"),
    });
  });

  test.skipIf(missing)("keys: the primary key, a declared one, and what is none", async () => {
    await database.sql(`
      CREATE TABLE keys (b int NOT NULL, a int NOT NULL, c text, d int NOT NULL, e int NOT NULL, PRIMARY KEY (a) INCLUDE (c));
      CREATE UNIQUE INDEX keys_ba ON keys (b, a); CREATE UNIQUE INDEX keys_c ON keys (c);
      CREATE UNIQUE INDEX keys_d ON keys (d) WHERE d > 0; CREATE UNIQUE INDEX keys_e ON keys ((e + 1));
      CREATE TABLE keyless (id int NOT NULL, v int); CREATE UNIQUE INDEX keyless_id ON keyless (id);
      CREATE SCHEMA other; CREATE TABLE other.moved (id int PRIMARY KEY)`);
    expect((await describe(client, model("keys"), OPTIONS)).relation.key).toEqual([1]);
    expect((await describe(client, model("keys", ["a", "b"]), OPTIONS)).relation.key).toEqual([1, 0]);
    expect(await problem(model("keys", ["c"]))).toContain('key column c of "public"."keys" may be null');
    expect(await problem(model("keys", ["d"]))).toContain("not unique by an index");
    expect(await problem(model("keys", ["e"]))).toContain("not unique by an index");
    expect(await problem(model("keys", ["aa"]))).toContain("did you mean a?");
    expect(await problem(model("keyless"))).toContain("its unique index keyless_id would do: key: [id]");
    expect(await problem(model("moved"))).toContain("there is other.moved");
    expect(await problem(model("keyles"))).toBe(
      'source.model: model m: there is no table "public"."keyles" (did you mean keyless?)',
    );
    if (version >= 18) {
      await database.sql(`CREATE EXTENSION btree_gist;
        CREATE TABLE periods (id int, during tstzrange, PRIMARY KEY (id, during WITHOUT OVERLAPS))`);
      expect(await problem(model("periods"))).toContain("has no ordinary primary key");
    }
  });

  test.skipIf(missing)("replica identity, partition by partition", async () => {
    await database.sql(`CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
      CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (id);
      CREATE TABLE p_1_1 PARTITION OF p_1 FOR VALUES FROM (0) TO (5);
      CREATE TABLE p_2 PARTITION OF p FOR VALUES FROM (10) TO (20);
      ALTER TABLE p REPLICA IDENTITY FULL; ALTER TABLE p_2 REPLICA IDENTITY FULL;
      CREATE TABLE deferred (id int PRIMARY KEY DEFERRABLE)`);
    const { relation, table } = await describe(client, model("p"), OPTIONS);
    expect(table.leaves.map(({ sql, replicaIdentity }) => `${sql} ${replicaIdentity.kind}`)).toEqual([
      '"public"."p_1_1" default',
      '"public"."p_2" full',
    ]);
    // One partition does not give whole old rows: then nothing can count on them.
    expect(relation.oldRows).toBe("key");
    await database.sql("ALTER TABLE p_1_1 REPLICA IDENTITY FULL");
    expect((await describe(client, model("p"), OPTIONS)).relation.oldRows).toBe("full");
    const leaf = await describeTable(client, { namespace: "public", name: "p_1_1" });
    expect(leaf!.root).toEqual({ oid: table.oid, sql: '"public"."p"' });
    expect((await describeTable(client, { namespace: "public", name: "deferred" }))!.replicaIdentity.columns).toEqual(
      [],
    );
    expect(await describeTable(client, { oid: "4000000000" })).toBeNull();
  });

  test.skipIf(missing)("names that are hostile", async () => {
    const name = 'we"ird; DROP TABLE x; --';
    await database.sql(`CREATE SCHEMA "S p a c e"; CREATE TABLE "S p a c e"."${name.replaceAll('"', '""')}" (
      "__proto__" int PRIMARY KEY, "constructor" text, "toJSON" bool, "😀" int, "${"x".repeat(63)}" int)`);
    const { relation, table } = await describe(client, model(name, null, "S p a c e"), OPTIONS);
    expect(relation.columns.map((column) => column.name)).toEqual([
      "__proto__",
      "constructor",
      "toJSON",
      "😀",
      "x".repeat(63),
    ]);
    expect(table.sql).toBe('"S p a c e"."we""ird; DROP TABLE x; --"');
  });
});
