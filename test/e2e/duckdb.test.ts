// The whole command, from files on the disk to a receiver.
import { appendFile, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runCli, startCli } from "../support/cli.ts";
import { duckdb, holdOpen } from "../support/duckdb.ts";
import { fold } from "../support/oracle.ts";
import { testProject } from "../support/project.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";

const project = (receiver: Receiver): string => `
sources:
  lake: { type: duckdb, path: warehouse.duckdb, views: { users: users.csv, orders: "orders/*.parquet" }, settle_ms: 100, poll_ms: 200 }
models:
  spent:
    source: lake
    key: id
    sql: |
      SELECT u.id, u.name, p.plan, sum(o.amount) AS spent
      FROM users u LEFT JOIN orders o ON o.user_id = u.id LEFT JOIN plans p ON p.id = u.id GROUP BY ALL
destinations:
  receiver: { type: webhook, url: "${receiver.url}", allow_private: true }
syncs:
  spent: { model: spent, destination: receiver, mode: mirror, max_deletes: 100% }
`;

const held = (receiver: Receiver) =>
  Object.fromEntries(
    [...fold(receiver.ledger.entries)].map(([key, { name, plan, spent }]) => [key, [name, plan, spent]]),
  );
const sent = ({ counts }: Receiver): number => counts.acknowledgedRows;

/** A Parquet file, put in its place at once. */
async function orders(folder: string, name: string, select: string): Promise<void> {
  const part = join(folder, `${name}.part`);
  await duckdb(":memory:", `COPY (${select}) TO '${part}' (FORMAT parquet)`);
  await rename(part, join(folder, "orders", name));
}

test("files and a database that change on the disk reach a webhook: only what differs, while running, at the next start, and once", async () => {
  await using receiver = await startReceiver();
  await using at = await testProject(project(receiver));
  const { folder } = at;
  const inFolder = { cwd: folder };
  const database = join(folder, "warehouse.duckdb");
  await duckdb(database, "CREATE TABLE plans AS SELECT 1 AS id, 'pro' AS plan");
  await writeFile(join(folder, "users.csv"), "id,name\n1,Ann\n2,Bob\n");
  await mkdir(join(folder, "orders"));
  await orders(folder, "a.parquet", "SELECT 1 AS user_id, 5::INTEGER AS amount");
  expect((await runCli(["check", "-c", folder], inFolder)).code).toBe(0);
  {
    await using engine = startCli(["run", "-c", folder], inFolder);
    await receiver.until(() => sent(receiver) === 2, 30_000);
    expect(held(receiver)).toEqual({ 1: ["Ann", "pro", "5"], 2: ["Bob", null, null] });
    // Only the row that a new order is of.
    await orders(folder, "b.parquet", "SELECT 2 AS user_id, 7::INTEGER AS amount");
    await receiver.until(() => sent(receiver) === 3, 30_000);
    await duckdb(database, "INSERT INTO plans VALUES (2, 'free')");
    await receiver.until(() => sent(receiver) === 4, 30_000);
    await appendFile(join(folder, "users.csv"), "3,Eve\n");
    await receiver.until(() => sent(receiver) === 5, 30_000);
    expect(held(receiver)).toEqual({ 1: ["Ann", "pro", "5"], 2: ["Bob", "free", "7"], 3: ["Eve", null, null] });
    // While another process has the database, nothing is read; afterwards everything is.
    const release = await holdOpen(database);
    await writeFile(join(folder, "users.csv"), "id,name\n1,Ann\n3,Eve\n");
    await engine.waitFor(/has the database file open/);
    await release();
    await receiver.until(() => sent(receiver) === 6, 30_000);
    expect(Object.keys(held(receiver))).toEqual(["1", "3"]);
    engine.kill("SIGTERM");
    expect(await engine.exit).toEqual({ code: 0, signal: null });
  }
  // What changed while nothing ran is found, and nothing else is sent again.
  await rm(join(folder, "orders", "a.parquet"));
  for (const _run of [1, 2]) {
    const { code, stderr } = await runCli(["run", "--once", "-c", folder], inFolder);
    expect(code, stderr).toBe(0);
    expect(sent(receiver)).toBe(7);
  }
  expect(held(receiver)).toEqual({ 1: ["Ann", "pro", null], 3: ["Eve", null, null] });
}, 120_000);
