// Two processes, one sync: whatever the order in which they load and commit, each batch is written once.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Writer } from "../../contracts/destination.ts";
import { delivery, shapeOf } from "../../../test/support/deliveries.ts";
import {
  MARIADB_INSTALLED,
  type Mariadb,
  type MariadbDatabase,
  mariadbDatabase,
  startMariadb,
} from "../../../test/support/mariadb.ts";
import { mysqlDestination, untilWaiting } from "../../../test/support/mysql-destination.ts";
import { failure, NEVER, target } from "../../../test/support/postgres-destination.ts";

const shape = shapeOf({ id: "bigint", name: "text" });
const batch = (...ids: string[]) => ids.map((id) => delivery({ shape, op: "event", values: [id, "x"] }));
const load = (writer: Writer) => writer.transactional!.load(NEVER);
const write = (writer: Writer, progress: string, of: ReturnType<typeof batch>, signal = NEVER) =>
  writer.transactional!.writeWith(of, progress, signal);
/** The ids that were written, repeats included. */
const written = async (database: MariadbDatabase) =>
  (await database.rows("SELECT id FROM t ORDER BY id")).map(({ id }) => id);

describe.skipIf(!MARIADB_INSTALLED)("MariaDB", () => {
  let server: Mariadb;
  beforeAll(async () => {
    server = await startMariadb();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function two() {
    const database = await mariadbDatabase(server);
    await database.sql("CREATE TABLE t (id bigint, name text)");
    const sinks = [mysqlDestination(database), mysqlDestination(database)] as const;
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
      expect(await failure(write(b, `${round} b`, batch(mine, theirs)))).toMatchObject({ code: "state.lease_lost" });
      expect(await written(database)).toEqual(before);
      expect(await load(b)).toBe(`${round} a`);
      await write(b, `${round} b`, batch(theirs));
      expect((await failure(write(a, `${round} a2`, batch(theirs)))).code).toBe("state.lease_lost");
      await write(b, `${round} b2`, batch(next));
    }
    expect(await written(database)).toEqual(["1", "2", "3", "4", "5", "6"]);
    expect(await load(a)).toBe("later b2");
  });

  test("another batch with the same progress is another's as well; the very same batch is delivered, and not written again", async () => {
    await using both = await two();
    const { database, a, b } = both;
    await write(a, "p", batch("1"));
    await load(b);
    await write(a, "p", batch("2"));
    expect((await failure(write(b, "p", batch("3")))).code).toBe("state.lease_lost");
    await load(b);
    const same = batch("4", "5");
    await write(a, "q", same);
    expect(await write(b, "q", same)).toHaveLength(same.length);
    expect(await write(b, "q", same)).toHaveLength(same.length);
    await write(b, "r", batch("6"));
    expect(await written(database)).toEqual(["1", "2", "4", "5", "6"]);
  });

  test("a row that somebody deleted is not gone on from", async () => {
    await using both = await two();
    const { database, a } = both;
    await write(a, "one", batch("1"));
    await database.sql("DELETE FROM tailrace_progress");
    expect((await failure(write(a, "two", batch("2")))).code).toBe("state.lease_lost");
    expect(await load(a)).toBeNull();
    await write(a, "two", batch("2"));
    expect(await written(database)).toEqual(["1", "2"]);
  });

  test("who loads waits for a transaction that has taken its step, and sees what it commits", async () => {
    await using both = await two();
    const { database, a, b } = both;
    await write(a, "one", batch("1"));
    // Holds the batch behind its step.
    await database.sql(
      "CREATE TABLE gate (id int PRIMARY KEY, n int) ENGINE = InnoDB; INSERT INTO gate VALUES (1, 0); CREATE TRIGGER hold BEFORE INSERT ON t FOR EACH ROW UPDATE gate SET n = n + 1; BEGIN; UPDATE gate SET n = 9",
    );
    const late = write(a, "two", batch("2"));
    await untilWaiting(database);
    const loaded = load(b);
    await untilWaiting(database, 2);
    await database.sql("COMMIT");
    expect(await loaded).toBe("two");
    await late;
    await write(b, "three", batch("3"));
    expect((await failure(write(a, "three", batch("3")))).code).toBe("state.lease_lost");
    expect(await written(database)).toEqual(["1", "2", "3"]);
  });

  test("what was cut off before its commit is not written, and is written by the next attempt", async () => {
    await using both = await two();
    const { database, a, b } = both;
    await write(a, "one", batch("1"));
    await database.sql("BEGIN; SELECT * FROM tailrace_progress FOR UPDATE");
    const cut = new AbortController();
    const next = batch("2");
    const failed = failure(write(a, "two", next, cut.signal));
    await untilWaiting(database);
    cut.abort();
    expect((await failed).consequence).toBe("transient");
    await database.sql("COMMIT");
    await write(a, "two", next);
    expect(await load(b)).toBe("two");
    expect(await written(database)).toEqual(["1", "2"]);
  });
});
