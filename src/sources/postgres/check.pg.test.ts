import { createServer, connect as dial } from "node:net";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { Finding } from "../../contracts/finding.ts";
import type { TableModel } from "../../contracts/model.ts";
import type { ModelNeeds } from "../../contracts/source.ts";
import { startServer } from "../../cli/demo/embedded-postgres.ts";
import { type TestDatabase, testDatabase } from "../../../test/support/postgres.ts";
import { check } from "./check.ts";
import { settings } from "./settings.ts";
import { tableModel } from "../../../test/support/models.ts";

const SERVERS = [
  { server: "PostgreSQL 18", version: 18, url: inject("postgresUrl") },
  { server: "PostgreSQL 15", version: 15, url: inject("postgres15Url") },
];

function needs(table: string, more: { key?: readonly string[]; old?: readonly string[] } = {}): ModelNeeds<TableModel> {
  const model = tableModel(table, { key: more.key ?? null });
  return { model, deletes: true, oldColumns: (more.old ?? []).map((column) => ({ column, because: "where" })) };
}

function run(url: string, ...models: readonly ModelNeeds[]): Promise<readonly Finding[]> {
  return check(settings.parse({ url }), models, {
    slot: "tailrace_check",
    publication: "pub",
    signal: AbortSignal.timeout(20_000),
  });
}

/** Findings by code, without what concerns the shared server itself. */
function codes(findings: readonly Finding[]): string[] {
  return findings.map(({ code }) => code).filter((code) => code !== "postgres.max_slot_wal_keep_size");
}

describe.each(SERVERS)("check on $server", ({ version, url: serverUrl }) => {
  const missing = serverUrl === "";
  let database: TestDatabase;
  let role: string;
  let asRole: string;

  beforeAll(async () => {
    if (missing) return;
    database = await testDatabase(serverUrl);
    role = `role_${database.name}`;
    await database.sql(
      `CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'secret'; GRANT CREATE ON DATABASE ${database.name} TO ${role}`,
    );
    const url = new URL(database.url);
    url.username = role;
    url.password = "secret";
    asRole = url.href;
  });
  afterAll(async () => {
    if (missing) return;
    await database.sql(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
    await database[Symbol.asyncDispose]();
  });

  /** The finding is there; its fix, run by an administrator, removes it. */
  async function mends(code: string, url: string, ...models: readonly ModelNeeds[]): Promise<Finding> {
    const before = await run(url, ...models);
    const finding = before.find((candidate) => candidate.code === code);
    expect(codes(before)).toContain(code);
    await database.sql(finding!.fix!);
    expect(codes(await run(url, ...models))).not.toContain(code);
    return finding!;
  }

  test.skipIf(missing)("nothing to say when nothing is wrong", async () => {
    await database.sql("CREATE TABLE fine (id int PRIMARY KEY, v text)");
    expect(codes(await run(database.url, needs("fine")))).toEqual([]);
  });

  test.skipIf(missing)("privileges: replication, schema, table, row security, messages", async () => {
    await database.sql(
      `ALTER ROLE ${role} NOREPLICATION; CREATE SCHEMA closed; CREATE TABLE closed.t (id int PRIMARY KEY)`,
    );
    const closed: ModelNeeds = {
      ...needs("t"),
      model: { ...needs("t").model, table: { namespace: "closed", name: "t" } },
    };
    expect((await mends("postgres.role_replication", asRole)).fix).toBe(`ALTER ROLE "${role}" REPLICATION;`);
    await mends("postgres.usage", asRole, closed);
    expect((await mends("postgres.select", asRole, closed)).subject).toBe("closed.t");
    await database.sql("ALTER TABLE closed.t ENABLE ROW LEVEL SECURITY");
    await mends("postgres.row_security", asRole, closed);
    await database.sql(`DO $$ DECLARE f regprocedure; BEGIN
      FOR f IN SELECT oid FROM pg_proc WHERE proname = 'pg_logical_emit_message' LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
      END LOOP; END $$`);
    await mends("postgres.emit_message", asRole);
  });

  test.skipIf(missing)("replica identity: none, not the key, not what is needed", async () => {
    await database.sql(`
      CREATE TABLE bare (id int);
      CREATE TABLE indexed (id int NOT NULL, v text); CREATE UNIQUE INDEX indexed_id ON indexed (id);
      CREATE TABLE nothing (id int PRIMARY KEY); ALTER TABLE nothing REPLICA IDENTITY NOTHING;
      CREATE TABLE deferred (id int PRIMARY KEY DEFERRABLE);
      CREATE TABLE other_key (id int PRIMARY KEY, code text NOT NULL); CREATE UNIQUE INDEX other_key_code ON other_key (code);
      CREATE TABLE plans (id int PRIMARY KEY, plan text)`);
    expect(codes(await run(database.url, needs("bare")))).toEqual(["postgres.model", "postgres.replica_identity"]);
    expect((await mends("postgres.replica_identity", database.url, needs("bare"))).fix).toContain(
      "REPLICA IDENTITY FULL",
    );
    expect((await mends("postgres.replica_identity", database.url, needs("indexed", { key: ["id"] }))).fix).toBe(
      `ALTER TABLE "public"."indexed" REPLICA IDENTITY USING INDEX "indexed_id";`,
    );
    await mends("postgres.replica_identity", database.url, needs("nothing"));
    expect((await mends("postgres.replica_identity", database.url, needs("deferred"))).fix).toContain("FULL");
    expect(
      (await mends("postgres.replica_identity_key", database.url, needs("other_key", { key: ["code"] }))).fix,
    ).toContain('"other_key_code"');
    const old = await mends("postgres.replica_identity_old", database.url, needs("plans", { old: ["plan"] }));
    expect(old).toMatchObject({ level: "error", fix: 'ALTER TABLE "public"."plans" REPLICA IDENTITY FULL;' });
    expect(old.message).toContain("plan (where)");
  });

  test.skipIf(missing)("replica identity of partitions", async () => {
    await database.sql(`CREATE TABLE parted (id int PRIMARY KEY, v text) PARTITION BY HASH (id);
      CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
      CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1)`);
    expect(codes(await run(database.url, needs("parted")))).toEqual([]);
    await database.sql("ALTER TABLE parted REPLICA IDENTITY FULL");
    await mends("postgres.replica_identity_partitions", database.url, needs("parted"));
    await database.sql(`ALTER TABLE parted REPLICA IDENTITY DEFAULT; ALTER TABLE parted_0 REPLICA IDENTITY DEFAULT;
      ALTER TABLE parted_1 REPLICA IDENTITY DEFAULT`);
    await mends("postgres.replica_identity_old", database.url, needs("parted", { old: ["v"] }));
    await database.sql("ALTER TABLE parted_1 REPLICA IDENTITY NOTHING");
    expect((await mends("postgres.replica_identity", database.url, needs("parted"))).message).toContain("parted_1");
  });

  test.skipIf(missing)("tables that the log does not hold, and columns", async () => {
    await database.sql(`
      CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY);
      CREATE VIEW seen AS SELECT 1 AS id; CREATE MATERIALIZED VIEW kept AS SELECT 1 AS id;
      CREATE TABLE parents (id int PRIMARY KEY); CREATE TABLE children () INHERITS (parents);
      CREATE TABLE computed (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED)`);
    await mends("postgres.not_in_log", database.url, needs("fleeting"));
    expect(codes(await run(database.url, needs("seen"), needs("kept")))).toEqual([
      "postgres.not_in_log",
      "postgres.not_in_log",
    ]);
    expect(codes(await run(database.url, needs("parents")))).toEqual(["postgres.inheritance"]);
    const [finding] = (await run(database.url, needs("parnts"))).filter(({ code }) => code === "postgres.model");
    expect(finding!.message).toContain("did you mean parents?");
    const computed = (await run(database.url, needs("computed"))).find(
      ({ code }) => code === "postgres.generated_columns",
    );
    if (version >= 18) expect(computed).toBeUndefined();
    else expect(computed!.message).toContain("twice (stored: published from PostgreSQL 18 on)");
  });

  test.skipIf(missing)("a publication that must be made, or hides changes", async () => {
    await database.sql(`CREATE TABLE ours (id int PRIMARY KEY, v text); GRANT SELECT ON ours TO ${role};
      CREATE TABLE split (id int PRIMARY KEY) PARTITION BY HASH (id);
      CREATE TABLE split_0 PARTITION OF split FOR VALUES WITH (MODULUS 1, REMAINDER 0)`);
    const made = await mends("postgres.publication_privilege", asRole, needs("ours"));
    expect(made.message).toContain('ownership of "public"."ours"');
    // A role that may read and replicate needs no more than that.
    expect(codes(await run(asRole, needs("ours")))).toEqual([]);
    await database.sql("ALTER PUBLICATION pub SET (publish = 'insert, truncate', publish_via_partition_root = false)");
    expect(
      (await run(database.url, needs("ours"))).find(({ code }) => code === "postgres.publication_operations"),
    ).toMatchObject({ level: "warning" });
    expect((await mends("postgres.publication_operations", asRole, needs("ours"))).message).toContain(
      "every update and delete",
    );
    await mends("postgres.publication_via_root", database.url, needs("ours"), needs("split"));
    expect(codes(await run(database.url, needs("split")))).toEqual([]);
    expect(codes(await run(asRole, needs("split")))).toContain("postgres.publication_table");
    await mends("postgres.publication_table", asRole, needs("split"));
    await database.sql("ALTER PUBLICATION pub SET TABLE ours WHERE (id > 5)");
    await mends("postgres.publication_filter", asRole, needs("ours"));
    await database.sql("ALTER PUBLICATION pub SET TABLE ours (id)");
    expect((await mends("postgres.publication_columns", asRole, needs("ours"))).message).toContain("leaves out v");
    await database.sql("DROP PUBLICATION pub; CREATE PUBLICATION pub FOR ALL TABLES");
    expect(codes(await run(database.url, needs("ours")))).toEqual(["postgres.publication_all_tables"]);
    await database.sql("DROP PUBLICATION pub");
    if (version >= 18) {
      await database.sql(
        "CREATE TABLE sums (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED); CREATE PUBLICATION pub FOR TABLE sums",
      );
      await mends("postgres.generated_columns", database.url, needs("sums"));
      await database.sql("DROP PUBLICATION pub");
    }
  });

  test.skipIf(missing)("what cannot be reached is one finding", async () => {
    const url = new URL(database.url);
    url.port = "1";
    expect(await run(url.href, needs("ours"))).toMatchObject([{ level: "error", code: "postgres.unreachable" }]);
    const wrong = new URL(asRole);
    wrong.password = "not this one";
    const refused = await run(wrong.href, needs("ours"));
    expect(refused).toMatchObject([{ level: "error", code: "postgres.auth" }]);
    expect(JSON.stringify(refused)).not.toContain("not this one");
  });

  test.skipIf(missing)("a pooler in between is noticed", async () => {
    const { hostname, port } = new URL(database.url);
    const pooler = createServer((client) => {
      const server = dial(Number(port), hostname);
      client.on("error", () => server.destroy());
      server.on("error", () => client.destroy());
      client.pipe(server);
      server.on("end", () => client.end());
      server.on("data", (bytes) => {
        // BackendKeyData: the process is the pooler's own.
        const at = bytes.indexOf(Buffer.from([0x4b, 0, 0, 0, 12]));
        if (at >= 0) bytes.writeUInt32BE(bytes.readUInt32BE(at + 5) ^ 0x5555, at + 5);
        client.write(bytes);
      });
    });
    await new Promise<void>((resolve) => pooler.listen(0, "127.0.0.1", resolve));
    const url = new URL(database.url);
    url.port = String((pooler.address() as AddressInfo).port);
    expect(codes(await run(url.href, needs("ours")))).toEqual(["postgres.pooler"]);
    await new Promise((resolve) => pooler.close(resolve));
  });
});

test("the server's settings", async () => {
  await using server = await startServer({
    settings: { wal_level: "replica", max_replication_slots: "1", max_wal_senders: "1", wal_sender_timeout: "5s" },
  });
  const url = server.url();
  const findings = await run(url);
  expect(findings.map(({ code }) => code).toSorted()).toEqual([
    "postgres.max_slot_wal_keep_size",
    "postgres.wal_level",
    "postgres.wal_sender_timeout",
  ]);
  expect(findings.find(({ code }) => code === "postgres.wal_level")).toMatchObject({
    level: "error",
    fix: expect.stringContaining("wal_level = logical"),
  });
  await using database = await testDatabase(url);
  for (const code of ["postgres.max_slot_wal_keep_size", "postgres.wal_sender_timeout"]) {
    for (const statement of findings.find((finding) => finding.code === code)!.fix!.split(";"))
      await database.sql(statement);
  }
  // The server takes a reloaded setting a moment later.
  const left = async () => (await run(url)).map(({ code }) => code);
  await expect.poll(left, { timeout: 10_000 }).toEqual(["postgres.wal_level"]);
  await database.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '64MB'");
  await database.sql("ALTER SYSTEM SET idle_replication_slot_timeout = '10min'");
  await database.sql("SELECT pg_reload_conf(), pg_create_physical_replication_slot('somebody')");
  await expect
    .poll(left, { timeout: 10_000 })
    .toEqual([
      "postgres.wal_level",
      "postgres.slots",
      "postgres.max_slot_wal_keep_size",
      "postgres.idle_replication_slot_timeout",
    ]);
  await database.sql("SELECT pg_drop_replication_slot('somebody')");
});
