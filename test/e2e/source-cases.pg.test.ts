// What databases do to those who read their log: through the whole engine, judged at the receiver.
import { expect, inject, describe, test } from "vitest";
import { startServer } from "../../src/cli/demo/embedded-postgres.ts";
import { type Exit, runCli, startCli } from "../support/cli.ts";
import { rowsOf } from "../support/ledger-order.ts";
import { compare } from "../support/oracle.ts";
import { type TestDatabase, databaseAt, testDatabase } from "../support/postgres.ts";
import { type TestProject, testProject } from "../support/project.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { OK, status } from "../support/receiver-script.ts";

const SERVERS = [
  { server: "18", url: inject("postgresUrl") },
  { server: "15", url: inject("postgres15Url") },
].filter(({ url }) => url !== "");

const CLEAN: Exit = { code: 0, signal: null };

function project(database: Pick<TestDatabase, "url">, receiver: Receiver, table: string): Promise<TestProject> {
  return testProject(`
sources: { db: { type: postgres, url: "${database.url}" } }
models: { m: { source: db, table: ${JSON.stringify(table)} } }
destinations: { receiver: { type: webhook, url: "${receiver.url}", allow_private: true, batch: { format: array } } }
syncs: { s: { model: m, destination: receiver, mode: mirror } }
`);
}

async function catchUp({ folder }: TestProject): Promise<void> {
  const { code, signal, stdout } = await runCli(["run", "--once", "-c", folder], { cwd: folder });
  expect({ code, signal }, stdout.slice(-1000)).toEqual(CLEAN);
}

describe.each(SERVERS)("PostgreSQL $server", ({ url }) => {
  test.each(["DEFAULT", "FULL"])(
    "large values that did not change, and keys that did, leave no record behind and none half empty (identity %s)",
    async (identity) => {
      await using database = await testDatabase(url);
      await database.sql(`
        CREATE TABLE t (id int PRIMARY KEY, n int, large text);
        ALTER TABLE t ALTER COLUMN large SET STORAGE EXTERNAL;
        ALTER TABLE t REPLICA IDENTITY ${identity};
        INSERT INTO t SELECT g, 0, repeat(md5(g::text), 200) FROM generate_series(1, 20) g`);
      await using receiver = await startReceiver();
      await using at = await project(database, receiver, "public.t");
      await catchUp(at);
      // What waits together is merged: an insert with an update that does not tell the large value again.
      await database.sql("INSERT INTO t SELECT g, 0, repeat(md5(g::text), 200) FROM generate_series(21, 40) g");
      await database.sql("UPDATE t SET n = 1");
      await database.sql("UPDATE t SET id = id + 1000 WHERE id % 2 = 0");
      await database.sql("UPDATE t SET n = 2; UPDATE t SET id = id + 1000 WHERE id % 5 = 0");
      await catchUp(at);
      expect(await compare(receiver.ledger.entries, database, { table: "public.t", key: ["id"] })).toMatchObject({
        rows: 40,
        equal: true,
      });
      // A record that is new at the receiver is whole: there is nothing that a part of it could complete.
      const known = new Set<string>();
      for (const { key, op, record } of rowsOf(receiver.ledger.entries)) {
        if (op === "delete") known.delete(key);
        else if (!known.has(key)) {
          expect(record?.["large"], key).toHaveLength(6400);
          known.add(key);
        }
      }
    },
  );

  test("a row that is refused in the middle of a batch is kept, and what is behind it is neither lost nor sent again", async () => {
    await using database = await testDatabase(url);
    await database.sql("CREATE TABLE t (id int PRIMARY KEY, v text)");
    await using receiver = await startReceiver({
      script: ({ rows }) => (rows.some(({ key }) => key === "50") ? status(400) : OK),
    });
    await using at = await project(database, receiver, "public.t");
    await catchUp(at);
    await database.sql("INSERT INTO t SELECT g, 'x' FROM generate_series(1, 100) g");
    {
      await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
      await receiver.until(({ counts }) => counts.acknowledgedRows === 99);
      await engine.waitFor(/kept as a dead letter/);
      // In the moment between: whatever is not durable by now must come again.
      engine.kill("SIGKILL");
      await engine.exit;
    }
    await catchUp(at);
    const listed = await runCli(["failures", "list", "s", "--json", "-c", at.folder], { cwd: at.folder });
    const { failures } = JSON.parse(listed.stdout) as { failures: { key: string[] }[] };
    expect(failures.map(({ key }) => key)).toEqual([["50"]]);
    const taken = [...rowsOf(receiver.ledger.entries)].filter(({ acknowledged }) => acknowledged);
    expect(new Set(taken.map(({ key }) => key)).size).toBe(99);
    const before = receiver.counts.requests;
    await catchUp(at);
    expect(receiver.counts.requests).toBe(before);
  });

  test("of two syncs on one slot, one is down: it is killed with the process, and loses nothing of what the other had", async () => {
    await using database = await testDatabase(url);
    await database.sql("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)");
    let down = true;
    await using receiver = await startReceiver({
      script: ({ path }) => (down && path === "/b" ? status(503) : OK),
    });
    await using at = await testProject(`
sources: { db: { type: postgres, url: "${database.url}" } }
models: { a: { source: db, table: public.a }, b: { source: db, table: public.b } }
destinations:
  for_a: { type: webhook, url: "${receiver.url}/a", allow_private: true, batch: { format: array } }
  for_b: { type: webhook, url: "${receiver.url}/b", allow_private: true, batch: { format: array } }
syncs:
  a: { model: a, destination: for_a, mode: mirror }
  b: { model: b, destination: for_b, mode: mirror }
`);
    await catchUp(at);
    {
      await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
      await database.sql("INSERT INTO b SELECT g FROM generate_series(1, 500) g");
      await database.sql("INSERT INTO a SELECT g FROM generate_series(1, 500) g");
      await receiver.until(({ counts }) => counts.acknowledgedRows === 500);
      engine.kill("SIGKILL");
      await engine.exit;
    }
    down = false;
    await receiver.restart();
    await catchUp(at);
    for (const table of ["a", "b"]) {
      const entries = receiver.ledger.entries.filter((entry) => entry.kind === "mark" || entry.path === `/${table}`);
      expect(await compare(entries, database, { table: `public.${table}`, key: ["id"] })).toMatchObject({
        rows: 500,
        equal: true,
      });
    }
  });

  test("columns come, go and change their names under load, while the engine is ended and started", async () => {
    await using database = await testDatabase(url);
    await database.sql("CREATE TABLE t (id int PRIMARY KEY, v int)");
    await using receiver = await startReceiver();
    await using at = await project(database, receiver, "public.t");
    await catchUp(at);
    let id = 0;
    for (let life = 0; life < 3; life += 1) {
      await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
      for (let change = 0; change < 6; change += 1) {
        const name = `c${life}_${change}`;
        await database.sql(`INSERT INTO t (id, v) SELECT ${id} + g, g FROM generate_series(1, 20) g`);
        await database.sql(`BEGIN; ALTER TABLE t ADD ${name} text DEFAULT 'd'; UPDATE t SET ${name} = 'u' WHERE id > ${id};
          ALTER TABLE t RENAME ${name} TO r_${name}; UPDATE t SET v = v + 1 WHERE id > ${id}; COMMIT`);
        if (change % 2 === 0) await database.sql(`ALTER TABLE t DROP r_${name}`);
        id += 20;
      }
      engine.kill(life === 1 ? "SIGTERM" : "SIGKILL");
      await engine.exit;
      await receiver.restart();
    }
    await catchUp(at);
    const mapping = { id: "id", v: "v" };
    expect(await compare(receiver.ledger.entries, database, { table: "public.t", key: ["id"], mapping })).toMatchObject(
      { rows: id, equal: true },
    );
  });

  test("names that are hostile are only names", async () => {
    await using database = await testDatabase(url);
    const table = `a"; DROP TABLE victim; --`;
    const names = [
      "__proto__",
      "constructor",
      "toJSON",
      "a b",
      `q"q`,
      "é😀",
      "x".repeat(63),
      "select",
      "hasOwnProperty",
    ];
    const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
    await database.sql(`CREATE TABLE victim (id int);
      CREATE TABLE ${quoted(table)} (id int PRIMARY KEY, ${names.map((name) => `${quoted(name)} text`).join(", ")});
      INSERT INTO ${quoted(table)} VALUES (1, ${names.map((_, at) => `'${at}'`).join(", ")})`);
    await using receiver = await startReceiver();
    await using at = await project(database, receiver, `public.${quoted(table)}`);
    await catchUp(at);
    await database.sql(
      `INSERT INTO ${quoted(table)} VALUES (2, ${names.map((_, place) => `'${place}'`).join(", ")}); UPDATE ${quoted(table)} SET "toJSON" = 'changed'`,
    );
    await catchUp(at);
    expect(
      await compare(receiver.ledger.entries, database, { table: `public.${quoted(table)}`, key: ["id"] }),
    ).toMatchObject({ rows: 2, equal: true });
    expect(await database.rows("SELECT to_regclass('victim')::text AS victim")).toEqual([{ victim: "victim" }]);
  });
});

test("prepared transactions, thousands of savepoints, foreign messages, origins and types that grow are all taken in their stride", async () => {
  await using server = await startServer({ settings: { max_prepared_transactions: "10" } });
  await using database = await testDatabase(server.url());
  await database.sql(`
    CREATE TYPE mood AS ENUM ('sad');
    CREATE TABLE t (id int PRIMARY KEY, v text, m mood);
    CREATE TABLE unrelated (id int PRIMARY KEY, v text);
    INSERT INTO unrelated SELECT g, repeat('x', 100) FROM generate_series(1, 100000) g`);
  await using receiver = await startReceiver();
  await using at = await project(database, receiver, "public.t");
  await catchUp(at);
  await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
  await database.sql("BEGIN; INSERT INTO t VALUES (1, 'prepared'); PREPARE TRANSACTION 'one'");
  await database.sql("BEGIN; INSERT INTO t VALUES (2, 'never'); PREPARE TRANSACTION 'two'");
  await database.sql("INSERT INTO t VALUES (3, 'between')");
  // A subtransaction a row, every second one given up.
  await database.sql(`DO $$ BEGIN FOR i IN 100..10099 LOOP
      BEGIN INSERT INTO t VALUES (i, 'sub'); IF i % 2 = 1 THEN RAISE EXCEPTION 'no'; END IF; EXCEPTION WHEN raise_exception THEN NULL; END;
    END LOOP; END $$`);
  await database.sql("UPDATE unrelated SET v = v || 'y'");
  await database.sql(
    "SELECT pg_logical_emit_message(false, 'other', 'x'), pg_logical_emit_message(true, 'other', 'y')",
  );
  await database.sql(
    "SELECT pg_replication_origin_create('elsewhere'), pg_replication_origin_session_setup('elsewhere')",
  );
  await database.sql("INSERT INTO t VALUES (4, 'from elsewhere')");
  await database.sql("SELECT pg_replication_origin_session_reset()");
  await database.sql("COMMIT PREPARED 'one'");
  await database.sql("ROLLBACK PREPARED 'two'");
  await database.sql("ALTER TYPE mood ADD VALUE 'glad'");
  await database.sql("INSERT INTO t VALUES (5, 'new', 'glad')");
  await database.sql(`ALTER TABLE t ALTER m TYPE text; DROP TYPE mood; CREATE TYPE mood AS ENUM ('glad', 'sad');
    ALTER TABLE t ALTER m TYPE mood USING m::mood`);
  await database.sql("INSERT INTO t VALUES (6, 'last', 'sad')");
  await receiver.until(
    () => [...rowsOf(receiver.ledger.entries)].some(({ key, acknowledged }) => acknowledged && key === "6"),
    60_000,
  );
  engine.kill("SIGTERM");
  expect(await engine.exit).toEqual(CLEAN);
  expect(await compare(receiver.ledger.entries, database, { table: "public.t", key: ["id"] })).toMatchObject({
    rows: 5005,
    equal: true,
  });
});

test("the server crashes, and crashes again; the engine goes on by itself each time, and nothing is missing", async () => {
  await using server = await startServer();
  const url = new URL(server.url());
  url.pathname = "/postgres";
  {
    await using database = await databaseAt(url.href);
    await database.sql("CREATE TABLE t (id int PRIMARY KEY)");
  }
  await using receiver = await startReceiver();
  await using at = await project({ url: url.href }, receiver, "public.t");
  await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
  await engine.waitFor(/"started"/);
  for (let life = 1; life <= 3; life += 1) {
    await using database = await databaseAt(url.href);
    await database.sql(`INSERT INTO t SELECT g FROM generate_series(${life * 1000}, ${life * 1000 + 499}) g`);
    // In the last life everything arrives, before that as much as may be.
    if (life === 3) await receiver.until(({ counts }) => counts.acknowledgedRows >= 1500, 60_000);
    else {
      await server.crash();
      await server.start();
    }
  }
  await using database = await databaseAt(url.href);
  expect(await compare(receiver.ledger.entries, database, { table: "public.t", key: ["id"] })).toMatchObject({
    rows: 1500,
    equal: true,
  });
  engine.kill("SIGTERM");
  expect(await engine.exit).toEqual(CLEAN);
});
