// The state's database cannot be reached for longer than a lease may go on without it.
import { expect, test } from "vitest";
import { startCli } from "../support/cli.ts";
import { orderOf, overlaps } from "../support/ledger-order.ts";
import { forkLoad } from "../support/load-process.ts";
import { loadTable } from "../support/load-statements.ts";
import { compare } from "../support/oracle.ts";
import { testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { startReceiver } from "../support/receiver.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

test("nothing is sent without a lease; when the state is back, the sync goes on by itself", async () => {
  await using source = await testDatabase();
  await using state = await testDatabase();
  await source.sql(loadTable("public.load"));
  const { hostname, port } = new URL(state.url);
  await using proxy = await startTcpProxy({ host: hostname, port: Number(port) });
  await using receiver = await startReceiver();
  await using at = await testProject(`
state: { type: postgres, url: "${proxy.through(state.url)}" }
sources: { db: { type: postgres, url: "${source.url}" } }
models: { load: { source: db, table: public.load } }
destinations: { receiver: { type: webhook, url: "${receiver.url}", allow_private: true } }
syncs: { load: { model: load, destination: receiver, mode: mirror, max_deletes: 100% } }
`);
  await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
  await using load = forkLoad({ url: source.url, changes: 20_000, keys: 300, seed: 9, ratePerSecond: 200 });
  await receiver.until(({ counts }) => counts.acknowledgedRows > 200);
  const expires = "SELECT owner, (expires_at < clock_timestamp())::text AS over FROM tailrace.lease";
  const [before] = await state.rows(expires);

  proxy.flow({ kind: "black-hole" });
  await expect
    .poll(async () => (await state.rows(expires))[0]?.["over"], { timeout: 15_000, interval: 20 })
    .toBe("true");
  // From here on another process might begin.
  const sent = receiver.counts.requests;
  await engine.waitFor(/standing by/, 15_000);
  expect(receiver.counts.requests).toBe(sent);

  proxy.flow({ kind: "pass" });
  await receiver.until(({ counts }) => counts.requests > sent + 50);
  load.stop();
  await load.done;
  await expect
    .poll(async () => (await compare(receiver.ledger.entries, source, { table: "public.load", key: ["id"] })).equal, {
      timeout: 15_000,
    })
    .toBe(true);
  expect((await state.rows(expires))[0]?.["owner"]).not.toBe(before?.["owner"]);
  engine.kill("SIGTERM");
  expect(await engine.exit).toEqual({ code: 0, signal: null });
  expect(overlaps(receiver.ledger.entries)).toEqual([]);
  expect(orderOf(receiver.ledger.entries).inversions).toEqual([]);
});
