// The stream lives as long as the server does, whatever the reader does; and it is given up when the server is gone.
import { type Socket, connect as dial, createServer } from "node:net";
import process from "node:process";
import { expect, inject, test } from "vitest";
import { startServer } from "../../cli/demo/embedded-postgres.ts";
import { testDatabase } from "../../../test/support/postgres.ts";
import { replicationOn, until } from "../../../test/support/postgres-replication.ts";
import { tableModel } from "../../../test/support/models.ts";
import type { ChangeBatch } from "../../contracts/change.ts";
import type { Log } from "../../contracts/log.ts";
import postgres from "./index.ts";
import { lsnOf, parseLsn } from "./position.ts";

const never = new AbortController().signal;
const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };

/** A relay to the server whose two directions can be stopped, each alone. */
async function relay(url: string) {
  const target = new URL(url);
  const pairs: { readonly near: Socket; readonly far: Socket }[] = [];
  const server = createServer((near) => {
    const far = dial(Number(target.port), target.hostname);
    pairs.push({ near, far });
    near.pipe(far).on("error", () => {});
    far.pipe(near).on("error", () => {});
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = new URL(url);
  address.port = String((server.address() as { port: number }).port);
  return {
    url: address.href,
    /** Nothing more comes from the server; the connections stay open. */
    swallow: () => pairs.forEach(({ near, far }) => far.unpipe(near).resume()),
    reset: () => pairs.forEach(({ near }) => near.resetAndDestroy()),
    [Symbol.asyncDispose]: async () => {
      for (const { near, far } of pairs) {
        near.destroy();
        far.destroy();
      }
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function nextWithRows(reading: AsyncIterator<ChangeBatch>): Promise<ChangeBatch> {
  for (;;) {
    const { value, done } = await reading.next();
    if (done) throw new Error("the reading ended");
    if (value.changes.length > 0) return value;
  }
}

test("a reader that does not ask for three times wal_sender_timeout keeps its connection", async () => {
  await using database = await testDatabase();
  await database.sql(
    `CREATE TABLE t (id int PRIMARY KEY, v text); ALTER DATABASE ${database.name} SET wal_sender_timeout = '1s'`,
  );
  await using source = replicationOn(database);
  const start = await source.open(["t"]);
  // Far more than fits into the buffers, so that the server is stuck in sending.
  await database.sql("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 30000) g");
  const reading = source.replication.read(start.position, never)[Symbol.asyncIterator]();
  const first = await nextWithRows(reading);
  const sender = () =>
    database.rows(
      `SELECT s.pid::text, s.reply_time::text, extract(epoch FROM s.reply_time - a.backend_start)::text AS seconds
         FROM pg_stat_replication s JOIN pg_stat_activity a USING (pid)
         JOIN pg_replication_slots r ON r.active_pid = s.pid WHERE r.slot_name = $1`,
      [source.slot],
    );
  const [before] = await until(sender, ([row]) => row !== undefined, "the stream runs");
  const [after] = await until(
    sender,
    ([row]) => row !== undefined && Number(row["seconds"]) >= 3.2,
    "the server hears of us",
  );
  expect(after!["pid"]).toBe(before!["pid"]);
  // What lies unread is no silence of the source.
  expect(Date.now() - source.replication.lastByteAtMs!).toBeLessThan(1000);
  let rows = first.changes.length;
  while (rows < 30_000) rows += (await nextWithRows(reading)).changes.length;
  expect(rows).toBe(30_000);
  await reading.return?.();
});

test("silence while the reader waits ends the reading, soon", async () => {
  await using database = await testDatabase();
  await database.sql("CREATE TABLE t (id int PRIMARY KEY)");
  await using wire = await relay(database.url);
  await using source = replicationOn({ name: database.name, url: wire.url }, { silentAfterMs: 900 });
  const start = await source.open(["t"]);
  await database.sql("INSERT INTO t VALUES (1)");
  const reading = source.replication.read(start.position, never)[Symbol.asyncIterator]();
  await nextWithRows(reading);
  // A quiet but living server is no silence: it answers what it is asked.
  const quietSinceMs = Date.now();
  const waiting = nextWithRows(reading).catch((error: unknown) => error);
  await until(
    async () => Date.now() - quietSinceMs,
    (quietMs) => quietMs > 1800,
    "two limits passed",
  );
  wire.swallow();
  const swallowedAtMs = Date.now();
  expect(await waiting).toMatchObject({ code: "source.silent" });
  expect(Date.now() - swallowedAtMs).toBeLessThan(2500);
  // The session beside it went the same way, and is not waited for.
  await database.sql("INSERT INTO t VALUES (2)");
  await source.open(["t"], [start]);
  expect(await source.read(start.position, (seen) => seen.length === 2)).toHaveLength(2);
  expect(Date.now() - swallowedAtMs).toBeLessThan(10_000);
});

test("a connection that is swallowed while the reading is opened is noticed as soon", async () => {
  await using database = await testDatabase();
  await database.sql("CREATE TABLE t (id int PRIMARY KEY)");
  await using wire = await relay(database.url);
  const settings = postgres.settings.parse({ url: wire.url, silent_after_ms: 1000 });
  await using source = postgres.create(settings, { name: "db", project: database.name, log: quiet });
  const users = tableModel("t");
  const start = await source.open([users], [], never);
  // The session beside the stream is open, and dead; the stream's own connection is a new one.
  wire.swallow();
  await expect(source.open([users], [start], never)).rejects.toMatchObject({ code: "source.silent" });
  expect(await source.open([users], [start], never)).toEqual(start);
});

test("a server process that is stopped is silence too, and once it is gone the reading goes on", async () => {
  await using server = await startServer();
  await using database = await testDatabase(server.url());
  await database.sql("CREATE TABLE t (id int PRIMARY KEY)");
  await using source = replicationOn(database, { silentAfterMs: 900 });
  const start = await source.open(["t"]);
  await database.sql("INSERT INTO t VALUES (1)");
  const reading = source.replication.read(start.position, never)[Symbol.asyncIterator]();
  await nextWithRows(reading);
  const waiting = nextWithRows(reading).catch((error: unknown) => error);
  const [{ pid }] = (await database.rows("SELECT active_pid::text AS pid FROM pg_replication_slots")) as [
    { pid: string },
  ];
  process.kill(Number(pid), "SIGSTOP");
  try {
    await database.sql("INSERT INTO t VALUES (2)");
    expect(await waiting).toMatchObject({ code: "source.silent" });
  } finally {
    process.kill(Number(pid), "SIGCONT");
  }
  await source.open(["t"], [start]);
  expect(await source.read(start.position, (seen) => seen.length === 2)).toHaveLength(2);
});

test.each(["0", "1h"])(
  "with wal_sender_timeout = %s one connection lasts, and the server hears of us every few seconds",
  async (setting) => {
    await using database = await testDatabase();
    await database.sql(
      `CREATE TABLE t (id int PRIMARY KEY); ALTER DATABASE ${database.name} SET wal_sender_timeout = '${setting}'`,
    );
    await using source = replicationOn(database);
    const start = await source.open(["t"]);
    const stop = new AbortController();
    const reading = (async () => {
      for await (const _ of source.replication.read(start.position, stop.signal));
    })();
    const heard = () =>
      database.rows(
        `SELECT s.pid::text, s.reply_time::text AS at FROM pg_stat_replication s
           JOIN pg_replication_slots r ON r.active_pid = s.pid WHERE r.slot_name = $1`,
        [source.slot],
      );
    const [first] = await until(heard, ([row]) => typeof row?.["at"] === "string", "the server has heard of us");
    const times = new Set([first!["at"]]);
    const [last] = await until(heard, ([row]) => times.add(row!["at"]).size > 2, "and hears again");
    expect(last!["pid"]).toBe(first!["pid"]);
    stop.abort();
    await reading;
  },
);

test("a connection that breaks ends the reading; opened again, it goes on", async () => {
  await using database = await testDatabase();
  await database.sql("CREATE TABLE t (id int PRIMARY KEY)");
  await using wire = await relay(database.url);
  await using source = replicationOn({ name: database.name, url: wire.url });
  const start = await source.open(["t"]);
  await database.sql("INSERT INTO t VALUES (1)");
  const reading = source.replication.read(start.position, never)[Symbol.asyncIterator]();
  const { end } = await nextWithRows(reading);
  const waiting = nextWithRows(reading).catch((error: unknown) => error);
  wire.reset();
  expect(await waiting).toMatchObject({ code: "source.unreachable" });
  await source.open(["t"], [{ ...start, position: end }]);
  await database.sql("INSERT INTO t VALUES (2)");
  expect((await source.read(end, (seen) => seen.length === 1))[0]!.after).toEqual(["2"]);
});

test("a walsender that is ended by hand says why, and the reading can begin again at once", async () => {
  await using database = await testDatabase();
  await database.sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (0)");
  await using source = replicationOn(database);
  const start = await source.open(["t"]);
  await database.sql("INSERT INTO t VALUES (1)");
  const reading = source.replication.read(start.position, never)[Symbol.asyncIterator]();
  await nextWithRows(reading);
  const waiting = nextWithRows(reading).catch((error: unknown) => error);
  await database.rows("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1", [
    source.slot,
  ]);
  expect(await waiting).toMatchObject({ code: "source.unreachable", message: expect.stringContaining("57P01") });
  expect(await source.read(start.position, (seen) => seen.length === 1)).toHaveLength(1);
});

test("aborting ends the reading without an error and frees the slot", async () => {
  await using database = await testDatabase();
  await database.sql("CREATE TABLE t (id int PRIMARY KEY)");
  await using source = replicationOn(database);
  const start = await source.open(["t"]);
  const stop = new AbortController();
  const reading = source.replication.read(start.position, stop.signal)[Symbol.asyncIterator]();
  const waiting = (async () => {
    while (!(await reading.next()).done);
    return "ended";
  })();
  const pid = () =>
    database.rows("SELECT active_pid::text AS pid FROM pg_replication_slots WHERE slot_name = $1", [source.slot]);
  await until(pid, ([row]) => row!["pid"] !== null, "the slot is read");
  stop.abort();
  expect(await waiting).toBe("ended");
  await until(pid, ([row]) => row!["pid"] === null, "the slot is free");
});

test("other tables' log lets the slot move on, though none of our rows come", async () => {
  await using database = await testDatabase();
  await database.sql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (v text)");
  await using source = replicationOn(database);
  const start = await source.open(["t"]);
  const [{ lsn }] = (await database.rows(
    "WITH written AS (INSERT INTO other SELECT repeat(md5(g::text), 20) FROM generate_series(1, 5000) g) SELECT pg_current_wal_insert_lsn()::text AS lsn",
  )) as [{ lsn: string }];
  let rows = 0;
  await source.read(start.position, (changes, batch) => {
    rows = changes.length;
    source.replication.ack(batch.end);
    return lsnOf(batch.end) > parseLsn(lsn);
  });
  expect(rows).toBe(0);
  await until(
    () =>
      database.rows(
        "SELECT (confirmed_flush_lsn > $1::pg_lsn)::text AS past FROM pg_replication_slots WHERE slot_name = $2",
        [lsn, source.slot],
      ),
    ([row]) => row!["past"] === "true",
    "the slot has moved",
  );
});

test("the log of busy neighbours is let go of soon, not only when the server notes by itself what runs", async () => {
  await using server = await startServer();
  await using database = await testDatabase(server.url());
  await database.sql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE neighbour (v text)");
  await using source = replicationOn(database, { heartbeatMs: 30_000 });
  const start = await source.open(["t"]);
  const stop = new AbortController();
  const reading = (async () => {
    for await (const batch of source.replication.read(start.position, stop.signal)) source.replication.ack(batch.end);
  })();
  const starts = new Set<unknown>();
  // By itself it would be once in 15 s.
  await until(
    async () => {
      await database.sql("INSERT INTO neighbour SELECT repeat(md5(g::text), 30) FROM generate_series(1, 5000) g");
      const [row] = await database.rows("SELECT restart_lsn::text FROM pg_replication_slots WHERE slot_name = $1", [
        source.slot,
      ]);
      return starts.add(row!["restart_lsn"]).size;
    },
    (moves) => moves > 4,
    "the slot's start has moved again and again",
  );
  stop.abort();
  await reading;
});

test("on an idle server a heartbeat makes the log move", async () => {
  await using database = await testDatabase();
  await database.sql("CREATE TABLE t (id int PRIMARY KEY)");
  await using source = replicationOn(database, { heartbeatMs: 50 });
  const start = await source.open(["t"]);
  const messages = () =>
    database.rows(
      `SELECT count(*)::text AS n FROM pg_logical_slot_peek_binary_changes(
         'look', NULL, NULL, 'proto_version', '1', 'publication_names', $1, 'messages', 'true')`,
      [source.slot],
    );
  await database.rows("SELECT pg_create_logical_replication_slot('look', 'pgoutput')");
  const stop = new AbortController();
  const reading = (async () => {
    for await (const _ of source.replication.read(start.position, stop.signal));
  })();
  await until(messages, ([row]) => Number(row!["n"]) > 0, "a heartbeat is in the log");
  stop.abort();
  await reading;
  expect(source.said).toEqual([]);
});

test("a heartbeat that the role may not write is given up with one warning", async () => {
  await using database = await testDatabase();
  const role = `r_${database.name}`;
  await database.sql(`
    CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'pw';
    GRANT CREATE ON DATABASE ${database.name} TO ${role};
    CREATE TABLE t (id int PRIMARY KEY);
    ALTER TABLE t OWNER TO ${role};
    REVOKE EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, text, boolean) FROM PUBLIC`);
  const address = new URL(database.url);
  address.username = role;
  address.password = "pw";
  const source = replicationOn({ name: database.name, url: address.href }, { heartbeatMs: 30 });
  try {
    const start = await source.open(["t"]);
    const stop = new AbortController();
    const reading = (async () => {
      for await (const _ of source.replication.read(start.position, stop.signal));
    })();
    await until(
      async () => source.said.length,
      (count) => count > 0,
      "a warning",
    );
    const warnedAtMs = Date.now();
    await until(
      async () => Date.now() - warnedAtMs,
      (sinceMs) => sinceMs > 200,
      "more beats would have been",
    );
    expect(source.said).toEqual([["warn", expect.stringContaining("GRANT EXECUTE")]]);
    stop.abort();
    await reading;
  } finally {
    await source[Symbol.asyncDispose]();
    await database.sql(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
  }
});

test("a table that leaves the publication while it is read is noticed", async () => {
  await using database = await testDatabase(inject("postgresUrl"));
  await database.sql("CREATE TABLE t (id int PRIMARY KEY)");
  await using source = replicationOn(database, { membershipMs: 50 });
  const start = await source.open(["t"]);
  const reading = source.read(start.position, () => false);
  await database.sql(`ALTER PUBLICATION ${source.slot} DROP TABLE t`);
  await expect(reading).rejects.toMatchObject({ code: "source.gap.publication" });
});
