import { expect, test } from "vitest";
import { startCli } from "../support/cli.ts";
import { testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

test("a run that ends does so also where a sync had to wait before it stopped", { timeout: 120_000 }, async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  await source.sql("CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users VALUES (1)");
  const { hostname, port } = new URL(target.url);
  await using proxy = await startTcpProxy({ host: hostname, port: Number(port) });
  await proxy.refuse();
  await using at = await testProject(`
sources: { db: { type: postgres, url: "${source.url}" } }
models: { users: { source: db, table: public.users } }
destinations: { crm: { type: postgres, url: "${proxy.through(target.url)}" } }
syncs: { users: { model: users, destination: crm, object: public.users, mode: mirror, map: { id: id, name: name } } }
`);
  await using engine = startCli(["run", "--once", "-c", at.folder], { cwd: at.folder });
  await engine.waitFor(/could not start/);
  await source.sql("ALTER TABLE users DROP COLUMN name");
  await proxy.accept();
  await engine.waitFor(/the sync stopped/);
  expect(await engine.exit).toEqual({ code: 1, signal: null });
});
