// Whatever breaks the log between two readings is named, never passed over.
import { describe, expect, inject, test, vi } from "vitest";
import { startServer } from "../../cli/demo/embedded-postgres.ts";
import { type TestDatabase, testDatabase } from "../../../test/support/postgres.ts";
import { type TestReplication, replicationOn, until } from "../../../test/support/postgres-replication.ts";
import type { SourceCheckpoint } from "../../contracts/source.ts";
import { lsnOf, positionAt } from "./position.ts";

const servers = [
  ["18", inject("postgresUrl")],
  ["15", inject("postgres15Url")],
] as const;

/** A source that has read and acknowledged one row, as a process that stopped would leave it. */
async function stopped(database: TestDatabase, source: TestReplication): Promise<SourceCheckpoint> {
  const start = await source.open(["t"]);
  await database.sql("INSERT INTO t VALUES (1)");
  let end = start.position;
  await source.read(start.position, (changes, batch) => {
    end = batch.end;
    source.replication.ack(end);
    return changes.length === 1 && end.endsWith("-00000000");
  });
  return { position: end, incarnation: start.incarnation };
}

const never = new AbortController().signal;

const gap = (kind: string, message = /./) => ({ code: `source.gap.${kind}`, message: expect.stringMatching(message) });

describe.each(servers.filter(([, url]) => url !== ""))("PostgreSQL %s", (_version, url) => {
  const fresh = async (): Promise<TestDatabase> => {
    const database = await testDatabase(url);
    await database.sql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)");
    return database;
  };

  test("nothing changed: it goes on where it stopped", async () => {
    await using database = await fresh();
    await using first = replicationOn(database);
    const stored = await stopped(database, first);
    await database.sql("INSERT INTO t VALUES (2)");
    await using later = replicationOn(database);
    const opened = await later.open(["t", "u"], [stored]);
    expect(opened.position).toBe(stored.position);
    expect((await later.read(opened.position, (seen) => seen.length === 1))[0]!.after).toEqual(["2"]);
  });

  test("of several stored places the oldest counts", async () => {
    await using database = await fresh();
    await using source = replicationOn(database);
    const start = await source.open(["t"]);
    const newer = { ...start, position: positionAt(lsnOf(start.position), 9) };
    expect((await source.open(["t"], [newer, start])).position).toBe(start.position);
  });

  test("a place of its own takes over without a gap, and back; the shared one never goes back for it", async () => {
    await using database = await fresh();
    await using shared = replicationOn(database);
    const stored = await stopped(database, shared);
    await using own = replicationOn(database, { slot: `${shared.slot}__s` });
    await database.sql("INSERT INTO t VALUES (2)");
    const carried = await own.open(["t"], [stored]);
    expect([own.replication.keeps(stored), own.replication.keeps(carried)]).toEqual([false, true]);
    expect(carried.position).toBe(stored.position);
    expect((await own.read(carried.position, (seen) => seen.length === 1))[0]!.after).toEqual(["2"]);
    // As long as it holds back the log, the shared place serves too.
    const back = await shared.open(["t"], [carried]);
    expect([back.position, shared.replication.keeps(back)]).toEqual([carried.position, true]);
    // The others have gone on, and the server has forgotten what they do not need.
    let end = back.position;
    await shared.read(back.position, (seen, batch) => {
      end = batch.end;
      return seen.length === 1 && end.endsWith("-00000000");
    });
    await database.sql("INSERT INTO t VALUES (3)");
    await shared.read(end, (seen, batch) => {
      shared.replication.ack(batch.end);
      return seen.length === 1 && batch.end.endsWith("-00000000");
    });
    await expect(shared.open(["t"], [carried])).rejects.toMatchObject(gap("slot_ahead"));
    await expect(shared.open(["t"], [back])).rejects.toMatchObject(gap("slot_ahead"));
    expect((await own.open(["t"], [carried])).position).toBe(carried.position);
    expect(await own.read(carried.position, (seen) => seen.length === 2)).toHaveLength(2);
    await own.replication.forget(never);
    expect(await own.replication.retention(never)).toEqual({ retainedBytes: null, over: null });
    await expect(own.open(["t"], [carried])).rejects.toMatchObject(gap("slot_missing"));
  });

  test("the slot was dropped", async () => {
    await using database = await fresh();
    await using source = replicationOn(database);
    const stored = await stopped(database, source);
    await database.rows("SELECT pg_drop_replication_slot($1)", [source.slot]);
    await expect(source.open(["t"], [stored])).rejects.toMatchObject(gap("slot_missing"));
    expect(await database.rows("SELECT FROM pg_replication_slots WHERE slot_name = $1", [source.slot])).toEqual([]);
  });

  test("the slot was dropped and made again", async () => {
    await using database = await fresh();
    await using source = replicationOn(database);
    const stored = await stopped(database, source);
    await database.rows("SELECT pg_drop_replication_slot($1)", [source.slot]);
    await database.sql("INSERT INTO t VALUES (2)");
    await database.rows("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [source.slot]);
    await using later = replicationOn(database);
    await expect(later.open(["t"], [stored])).rejects.toMatchObject(gap("slot_ahead"));
    // Without anything stored there is nothing to lose: a resync begins with a slot of its own time.
    const again = await later.open(["t"], []);
    await database.sql("INSERT INTO t VALUES (3)");
    expect((await later.read(again.position, (seen) => seen.length === 1))[0]!.after).toEqual(["3"]);
  });

  test("the slot is dropped while nobody reads, between open and read", async () => {
    await using database = await fresh();
    await using source = replicationOn(database);
    const stored = await stopped(database, source);
    await database.rows("SELECT pg_drop_replication_slot($1)", [source.slot]);
    await expect(source.read(stored.position, () => true)).rejects.toMatchObject(gap("slot_missing"));
  });

  test("another cluster, another timeline, or a log that ends before the checkpoint", async () => {
    await using database = await fresh();
    await using source = replicationOn(database);
    const stored = await stopped(database, source);
    const facts = JSON.parse(stored.incarnation) as Record<string, unknown>;
    const altered = (change: object) => ({ ...stored, incarnation: JSON.stringify({ ...facts, ...change }) });
    await expect(source.open(["t"], [altered({ systemId: "1" })])).rejects.toMatchObject(
      gap("cluster", /another cluster/),
    );
    await expect(source.open(["t"], [altered({ timeline: "7" })])).rejects.toMatchObject(gap("cluster", /timeline 7/));
    const ahead = { ...stored, position: positionAt(lsnOf(stored.position) + (1n << 40n)) };
    await expect(source.open(["t"], [ahead])).rejects.toMatchObject(gap("cluster", /older state/));
    await expect(source.open(["t"], [{ ...stored, incarnation: "{}" }])).rejects.toMatchObject(gap("cluster"));
  });

  test("the publication was dropped and made again", async () => {
    await using database = await fresh();
    await using source = replicationOn(database);
    const stored = await stopped(database, source);
    await database.sql(`DROP PUBLICATION ${source.slot}`);
    await expect(source.open(["t"], [stored])).rejects.toMatchObject(gap("publication", /gone/));
    await database.sql(
      `INSERT INTO t VALUES (2); CREATE PUBLICATION ${source.slot} FOR TABLE t WITH (publish_via_partition_root)`,
    );
    await using later = replicationOn(database);
    await expect(later.open(["t"], [stored])).rejects.toMatchObject(gap("publication", /made again/));
  });

  test("the publication is dropped while it is read", async () => {
    await using database = await fresh();
    await using source = replicationOn(database);
    const stored = await stopped(database, source);
    const alter = async () => {
      // One statement each: the row between must be written while there is no publication.
      await database.sql(`DROP PUBLICATION ${source.slot}`);
      await database.sql("INSERT INTO t VALUES (3)");
      await database.sql(`CREATE PUBLICATION ${source.slot} FOR TABLE t WITH (publish_via_partition_root)`);
      await database.sql("INSERT INTO t VALUES (4)");
    };
    const altering: Promise<void>[] = [];
    const seen = new Set<unknown>();
    const reading = source.read(stored.position, (changes) => {
      for (const change of changes) seen.add(change.after![0]);
      if (changes.length > 0 && altering.length === 0) altering.push(alter());
      return false;
    });
    await database.sql("INSERT INTO t VALUES (2)");
    await expect(reading).rejects.toMatchObject(gap("publication"));
    await Promise.all(altering);
    expect(seen).toEqual(new Set(["2"]));
  });

  test("the publication's options were changed", async () => {
    await using database = await fresh();
    await using source = replicationOn(database);
    const stored = await stopped(database, source);
    await database.sql(`ALTER PUBLICATION ${source.slot} SET (publish = 'insert')`);
    await expect(source.open(["t"], [stored])).rejects.toMatchObject(gap("publication", /options/));
    await database.sql(`ALTER PUBLICATION ${source.slot} SET (publish = 'insert, update, delete, truncate')`);
    await using later = replicationOn(database);
    await expect(later.open(["t"], [stored])).rejects.toMatchObject(gap("publication", /options/));
  });

  test("a table left the publication, and came back", async () => {
    await using database = await fresh();
    await using source = replicationOn(database);
    const stored = await stopped(database, source);
    await database.sql(`ALTER PUBLICATION ${source.slot} DROP TABLE t`);
    await expect(source.open(["t"], [stored])).rejects.toMatchObject(gap("publication", /"public"\."t" was taken out/));
    await database.sql(`INSERT INTO t VALUES (2); ALTER PUBLICATION ${source.slot} ADD TABLE t`);
    await using later = replicationOn(database);
    await expect(later.open(["t"], [stored])).rejects.toMatchObject(gap("publication", /put back/));
  });

  test("a table was dropped and made again under its name", async () => {
    await using database = await fresh();
    await using source = replicationOn(database);
    const stored = await stopped(database, source);
    await database.sql("DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (2)");
    await expect(source.open(["t"], [stored])).rejects.toMatchObject(gap("publication", /dropped and made again/));
  });

  test("an error while looking is not taken for a gap", async () => {
    await using database = await fresh();
    await using source = replicationOn(database);
    const stored = await stopped(database, source);
    await using blind = replicationOn({ name: database.name, url: database.url.replace(/:\d+\//, ":1/") });
    await expect(blind.open(["t"], [stored])).rejects.toMatchObject({ code: "source.unreachable" });
    await source.open(["t"], [stored]);
  });

  test("a slot that another process reads is busy, and stays so", async () => {
    await using database = await fresh();
    await using first = replicationOn(database);
    const start = await first.open(["t"]);
    await using second = replicationOn(database);
    const stop = new AbortController();
    const reading = (async () => {
      for await (const _ of first.replication.read(start.position, stop.signal));
    })();
    await until(
      () => database.rows("SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1", [first.slot]),
      ([row]) => typeof row?.["active_pid"] === "string",
      "the slot is read",
    );
    await expect(second.open(["t"], [])).rejects.toMatchObject({ code: "source.slot_busy" });
    await second.open(["t"], [start]);
    await expect(second.read(start.position, () => true)).rejects.toMatchObject({
      code: "source.slot_busy",
      message: expect.stringMatching(/\d+/),
    });
    const [holding] = await second.replication.holdings([], never);
    expect(holding).toMatchObject({ name: first.slot, active: true, used: true, kind: "replication slot" });
    await expect(second.replication.release(first.slot, never)).rejects.toMatchObject({ code: "source.slot_busy" });
    stop.abort();
    await reading;
    await until(
      () => second.replication.holdings([], never),
      ([one]) => one?.active === false,
      "the slot is free",
    );
    await second.replication.release(first.slot, never);
    expect(await second.replication.holdings([], never)).toEqual([]);
    await expect(second.replication.release("someone_elses", never)).rejects.toMatchObject({ code: "source.config" });
  });

  test("a slot cannot be made beside an open transaction: its pid is named, no slot is left, and then it works", async () => {
    await using database = await fresh();
    await using source = replicationOn(database, { blockedAfterMs: 400 });
    await database.sql("BEGIN; INSERT INTO t VALUES (1)");
    const [{ pid }] = (await database.rows("SELECT pg_backend_pid()::text AS pid")) as [{ pid: string }];
    // The slot waits for one transaction of the server after the other: others' tests have some too.
    await vi.waitFor(
      () =>
        expect(source.open(["t"])).rejects.toMatchObject({
          code: "source.blocked",
          message: expect.stringContaining(`pid ${pid} `),
        }),
      { timeout: 30_000 },
    );
    await database.sql("ROLLBACK");
    expect(await database.rows("SELECT FROM pg_replication_slots WHERE slot_name = $1", [source.slot])).toEqual([]);
    await source.open(["t"]);
  });
});

test("the server gives the slot up: said on opening and on reading", async () => {
  await using server = await startServer({
    initdb: ["--wal-segsize=1"],
    settings: { max_slot_wal_keep_size: "2MB", min_wal_size: "2MB", max_wal_size: "4MB" },
  });
  await using database = await testDatabase(server.url());
  await database.sql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE noise (v text)");
  await using source = replicationOn(database);
  const stored = await stopped(database, source);
  await until(
    async () => {
      await database.sql("INSERT INTO noise SELECT repeat(md5(g::text), 30) FROM generate_series(1, 5000) g");
      await database.sql("CHECKPOINT");
      return database.rows("SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1", [source.slot]);
    },
    ([row]) => row!["wal_status"] === "lost",
    "the slot is lost",
  );
  await expect(source.read(stored.position, () => true)).rejects.toMatchObject(gap("slot_lost"));
  await expect(source.open(["t"], [stored])).rejects.toMatchObject(gap("slot_lost", /wal_removed/));
  const again = await source.open(["t"], []);
  await database.sql("INSERT INTO t VALUES (7)");
  expect((await source.read(again.position, (seen) => seen.length === 1))[0]!.after).toEqual(["7"]);
});
