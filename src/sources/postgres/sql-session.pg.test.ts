import { expect, inject, test } from "vitest";
import { testDatabase } from "../../../test/support/postgres.ts";
import { startTcpProxy } from "../../../test/support/tcp-proxy.ts";
import { connect } from "./connection.ts";
import { SqlSession } from "./sql-session.ts";

const signal = AbortSignal.timeout(50_000);

test("one user at a time, in the order of asking, over one session", async () => {
  await using database = await testDatabase(inject("postgresUrl"));
  let opened = 0;
  await using session = new SqlSession((inner) => {
    opened += 1;
    return connect({ url: database.url }, { replication: false, signal: inner });
  });
  const order: string[] = [];
  const user = (name: string) =>
    session.use(signal, async (client) => {
      order.push(`${name} begins`);
      await client.query("SELECT 1");
      order.push(`${name} ends`);
    });
  await Promise.all([user("a"), user("b"), user("c")]);
  expect(order).toEqual(["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
  expect(opened).toBe(1);
});

test("nothing of a transaction that failed is left to the next user", async () => {
  await using database = await testDatabase(inject("postgresUrl"));
  await using session = new SqlSession((inner) =>
    connect({ url: database.url }, { replication: false, signal: inner }),
  );
  const broken = session.use(signal, async (client) => {
    await client.query("BEGIN; CREATE TABLE public.left_over (id int)");
    await client.query("SELECT 1 / 0");
  });
  const next = session.use(signal, (client) => client.query("SELECT to_regclass('public.left_over') AS found"));
  await expect(broken).rejects.toMatchObject({ name: "TailraceError" });
  expect((await next).rows).toEqual([{ found: null }]);
});

test("a connection on which nothing comes any more is given up", async () => {
  await using database = await testDatabase(inject("postgresUrl"));
  await using session = new SqlSession(
    (inner) => connect({ url: database.url }, { replication: false, signal: inner }),
    200,
  );
  await expect(session.use(signal, (client) => client.query("SELECT pg_sleep(30)"))).rejects.toMatchObject({
    code: "source.silent",
  });
  expect((await session.use(signal, (client) => client.query("SELECT 'again' AS x"))).rows).toEqual([{ x: "again" }]);
});

test("a connection that was swallowed is noticed long before that; a statement that takes long is left alone", async () => {
  await using database = await testDatabase(inject("postgresUrl"));
  const { hostname, port } = new URL(database.url);
  await using proxy = await startTcpProxy({ host: hostname, port: Number(port) });
  await using session = new SqlSession(
    (inner) => connect({ url: proxy.through(database.url) }, { replication: false, signal: inner }),
    50_000,
    300,
  );
  expect((await session.use(signal, (client) => client.query("SELECT pg_sleep(2), 'slow' AS x"))).rows).toMatchObject([
    { x: "slow" },
  ]);
  for (const way of ["up", "down"] as const) {
    const swallowed = session.use(signal, async (client) => {
      for (const connection of proxy.connections) connection.flow(way, { kind: "black-hole" });
      await client.query("SELECT 1");
    });
    await expect(swallowed).rejects.toMatchObject({ code: "source.silent" });
    await session.use(signal, (client) => client.query("SELECT 1"));
  }
});

test("closing ends what is under way, and nothing begins after it", async () => {
  await using database = await testDatabase(inject("postgresUrl"));
  const session = new SqlSession((inner) => connect({ url: database.url }, { replication: false, signal: inner }));
  let reached = () => {};
  const begun = new Promise<void>((resolve) => (reached = resolve));
  const working = session.use(signal, async (client) => {
    const query = client.query("SELECT pg_sleep(30)");
    reached();
    await query;
  });
  const outcome = expect(working).rejects.toMatchObject({ code: "source.unreachable" });
  await begun;
  await session[Symbol.asyncDispose]();
  await outcome;
  await expect(session.use(signal, (client) => client.query("SELECT 1"))).rejects.toMatchObject({
    code: "source.unreachable",
  });
});
