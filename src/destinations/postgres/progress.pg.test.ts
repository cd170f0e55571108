// Two processes, one sync: whatever the order in which they load and commit, each batch is written once.
import { describe, expect, test } from "vitest";
import type { Writer } from "../../contracts/destination.ts";
import { delivery, shapeOf } from "../../../test/support/deliveries.ts";
import { type TestDatabase, testDatabase } from "../../../test/support/postgres.ts";
import { destination, failure, NEVER, SERVERS, target, until } from "../../../test/support/postgres-destination.ts";
import { clientConfig } from "../../kit/postgres/client-config.ts";
import connector from "./index.ts";
import { STEP, StoredProgress } from "./progress.ts";
import { Sessions } from "./sessions.ts";
import { ARRAY_ROWS } from "./writer.ts";

const shape = shapeOf({ id: "bigint", name: "text" });
const event = (id: string) => delivery({ shape, op: "event", values: [id, "x"] });
const load = (writer: Writer) => writer.transactional!.load(NEVER);

describe.each(SERVERS)("PostgreSQL $version", ({ version, url }) => {
  describe.skipIf(url === "")(url === "" ? `PostgreSQL ${version} is not installed` : "progress", () => {
    describe.each([
      { way: "one statement", filler: 0 },
      { way: "COPY", filler: ARRAY_ROWS },
    ])("by $way", ({ filler }) => {
      const many = Array.from({ length: filler }, (_, index) => event(String(1_000_000 + index)));
      const batch = (...ids: string[]) => [...many, ...ids.map(event)];
      const write = (writer: Writer, progress: string, of: ReturnType<typeof batch>, signal = NEVER) =>
        writer.transactional!.writeWith(of, progress, signal);
      /** The ids that were written, repeats included. */
      const written = async (database: TestDatabase) =>
        (await database.rows("SELECT id FROM t WHERE id < 1000 ORDER BY id")).map(({ id }) => id);

      async function two() {
        const database = await testDatabase(url);
        await database.sql("CREATE TABLE t (id bigint, name text)");
        const sinks = [destination(database), destination(database)] as const;
        const open = (sink: (typeof sinks)[number]) => sink.open(target({ shape, mode: "event" }), NEVER);
        return {
          database,
          a: await open(sinks[0]),
          b: await open(sinks[1]),
          async [Symbol.asyncDispose]() {
            for (const sink of sinks) await sink[Symbol.asyncDispose]();
            await database[Symbol.asyncDispose]();
          },
        };
      }

      test("of two that loaded the same, one alone can go on; the other can after it has loaded again", async () => {
        await using both = await two();
        const { database, a, b } = both;
        for (const [round, ids] of [
          ["first", ["1", "2", "3"]],
          ["later", ["4", "5", "6"]],
        ] as const) {
          const [mine, theirs, next] = ids;
          expect(await load(a)).toBe(await load(b));
          await write(a, `${round} a`, batch(mine));
          const before = await written(database);
          expect(await failure(write(b, `${round} b`, batch(mine, theirs)))).toMatchObject({
            code: "state.lease_lost",
          });
          expect(await written(database)).toEqual(before);
          expect(await load(b)).toBe(`${round} a`);
          await write(b, `${round} b`, batch(theirs));
          expect((await failure(write(a, `${round} a2`, batch(theirs)))).code).toBe("state.lease_lost");
          await write(b, `${round} b2`, batch(next));
        }
        expect(await written(database)).toEqual(["1", "2", "3", "4", "5", "6"]);
        expect(await load(a)).toBe("later b2");
      });

      test("another batch with the same progress is another's as well", async () => {
        await using both = await two();
        const { database, a, b } = both;
        await write(a, "p", batch("1"));
        await load(b);
        await write(a, "p", batch("2"));
        expect((await failure(write(b, "p", batch("3")))).code).toBe("state.lease_lost");
        expect(await written(database)).toEqual(["1", "2"]);
      });

      test("the very batch that another has committed is delivered, and not written again", async () => {
        await using both = await two();
        const { database, a, b } = both;
        const same = batch("1", "2");
        expect([await load(a), await load(b)]).toEqual([null, null]);
        await write(a, "p", same);
        expect(await write(b, "p", same)).toHaveLength(same.length);
        await write(b, "q", batch("3"));
        expect(await written(database)).toEqual(["1", "2", "3"]);
      });

      test("a row of before a resync is gone on from; one that somebody deleted is not", async () => {
        await using both = await two();
        const { database, a, b } = both;
        await write(a, "old generation", batch("1"));
        expect(await load(b)).toBe("old generation");
        await write(b, "new generation", batch("1"));
        expect(await written(database)).toEqual(["1", "1"]);
        await database.sql("DELETE FROM tailrace.progress");
        expect((await failure(write(b, "more", batch("2")))).code).toBe("state.lease_lost");
        expect(await load(b)).toBeNull();
        await write(b, "more", batch("2"));
        expect(await written(database)).toEqual(["1", "1", "2"]);
      });

      test("who loads waits for a transaction that has taken its step, and sees what it commits", async () => {
        await using both = await two();
        const { database, a, b } = both;
        await write(a, "one", batch("1"));
        await database.sql(`
          CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(44); RETURN NULL; END';
          CREATE TRIGGER hold AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION hold();
          SELECT pg_advisory_lock(44)`);
        const late = write(a, "two", batch("2"));
        await until(database, waiting("advisory"));
        const loaded = load(b);
        await until(database, waiting("transactionid"));
        await database.sql("SELECT pg_advisory_unlock(44)");
        expect(await loaded).toBe("two");
        await late;
        await write(b, "three", batch("3"));
        expect((await failure(write(a, "three", batch("3")))).code).toBe("state.lease_lost");
        expect(await written(database)).toEqual(["1", "2", "3"]);
      });

      test.each([
        { next: "the same batch, its progress having moved on", again: true },
        { next: "another batch", again: false },
      ])("a commit whose answer was lost, then $next", async ({ again }) => {
        await using both = await two();
        const { database, a, b } = both;
        await write(a, "one", batch("1"));
        await database.sql(`
          CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(45); RETURN NULL; END';
          CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold();
          SELECT pg_advisory_lock(45)`);
        const lost = batch("2");
        const cut = new AbortController();
        const unknown = failure(write(a, "two", lost, cut.signal));
        await until(database, waiting("advisory"));
        cut.abort();
        expect((await unknown).code).toBe("destination.unknown");
        // The server goes on with the commit; the next attempt waits for it.
        const next = again ? write(a, "two and more", lost) : failure(write(a, "three", batch("3")));
        await until(database, waiting("transactionid"));
        await database.sql("SELECT pg_advisory_unlock(45)");
        if (again) expect(await next).toHaveLength(lost.length);
        else {
          expect(await next).toMatchObject({ code: "state.lease_lost", message: expect.stringContaining("not known") });
          expect(await load(a)).toBe("two");
        }
        expect(await load(b)).toBe("two");
        await write(a, "three", batch("3"));
        expect(await written(database)).toEqual(["1", "2", "3"]);
      });
    });
  });
});

test("a transaction whose process is frozen is ended by the server, before who waits for it gives up", async () => {
  await using database = await testDatabase();
  await database.sql("CREATE TABLE t (id bigint, name text)");
  await using sink = destination(database);
  const writer = await sink.open(target({ shape, mode: "event" }), NEVER);
  await writer.transactional!.writeWith([event("1")], "one", NEVER);
  const settings = connector.settings.parse({ url: database.url });
  const codes = { config: "destination.config", tls: "destination.config" } as const;
  await using sessions = new Sessions(() => clientConfig(settings, { baseDirectory: "/", codes }), 1);
  const frozen = new StoredProgress("s");
  const loaded: (string | null)[] = [];
  let taken: number | null = null;
  const late = sessions.use(NEVER, async (session) => {
    loaded.push(await frozen.load(session));
    await session.query("BEGIN");
    ({ rowCount: taken } = await session.query(STEP, frozen.parameters({ progress: "two", batch: "b" })));
    loaded.push(await load(writer));
    await session.query("COMMIT");
  });
  await expect(late).rejects.toThrow();
  expect(taken).toBe(1);
  expect(loaded).toEqual(["one", "one"]);
  await writer.transactional!.writeWith([event("2")], "two", NEVER);
  expect(await database.rows("SELECT id FROM t ORDER BY id")).toEqual([{ id: "1" }, { id: "2" }]);
}, 40_000);

const waiting = (event: string): string =>
  `SELECT pid FROM pg_stat_activity WHERE wait_event = '${event}' AND datname = current_database()`;
