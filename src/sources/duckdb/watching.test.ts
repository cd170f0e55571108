import { appendFile, rename, rm, utimes, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { duckdb, testFolder } from "../../../test/support/duckdb.ts";
import { duckdbSource, ids, LIMIT, NEVER, reading, scanned } from "../../../test/support/duckdb-source.ts";
import { queryModel, tableModel } from "../../../test/support/models.ts";

const users = tableModel("users", { key: ["id"] });
const VIEWS = { users: "users.csv", orders: "orders/*.csv" };

test("each table is told when its files are written, come or go; a position is met again after a restart", async () => {
  await using folder = await testFolder();
  await writeFile(folder.file("users.csv"), "id\n1\n");
  await duckdb(folder.file("w.duckdb"), "CREATE TABLE t (id INTEGER)");
  const settings = { path: "w.duckdb", views: { users: "users.csv", orders: "orders-*.csv" } };
  let last;
  {
    await using source = duckdbSource(folder, settings);
    const start = await source.open([users], [], NEVER);
    await using log = reading(source, start.position);
    expect(await log.next()).toEqual({ changes: [], end: start.position, bytes: 0 });
    const seen: string[] = [start.position];
    await writeFile(folder.file("new"), "id\n1\n3\n");
    await utimes(folder.file("new"), 1, 1);
    for (const [write, expected] of [
      [() => appendFile(folder.file("users.csv"), "2\n"), ["view:users"]],
      [() => writeFile(folder.file("orders-1.csv"), "id\n1\n"), ["view:orders"]],
      [() => writeFile(folder.file("orders-2.csv"), "id\n2\n"), ["view:orders"]],
      [() => rm(folder.file("orders-1.csv")), ["view:orders"]],
      // An atomic replacement, of the same size, by an older file.
      [() => rename(folder.file("new"), folder.file("users.csv")), ["view:users"]],
      [() => duckdb(folder.file("w.duckdb"), "INSERT INTO t VALUES (1)"), ["database:w.duckdb"]],
    ] as const) {
      const next = log.changed();
      await write();
      const batch = await next;
      expect(ids(batch)).toEqual(expected);
      expect(
        batch.changes.every(({ op, position }) => op === "touched" && position > seen.at(-1)! && position < batch.end),
      ).toBe(true);
      seen.push(batch.end);
    }
    expect(seen).toEqual([...new Set(seen)].sort());
    expect(seen.join("")).toMatch(/^[0-9a-f-]+$/);
    last = { position: (await source.lookup(users, [], NEVER)).high, incarnation: start.incarnation };
  }
  {
    await using again = duckdbSource(folder, settings);
    const start = await again.open([users], [last], NEVER);
    expect(start).toEqual(last);
    await using log = reading(again, start.position);
    expect(await log.next()).toEqual({ changes: [], end: start.position, bytes: 0 });
  }
  await appendFile(folder.file("users.csv"), "4\n");
  await using third = duckdbSource(folder, settings);
  const start = await third.open([users], [last], NEVER);
  expect(start).toEqual(last);
  await using log = reading(third, start.position);
  const batch = await log.next();
  // Of a state of before it is not known which files have changed since.
  expect([...ids(batch)].sort()).toEqual(["database:w.duckdb", "view:orders", "view:users"]);
  expect(batch.end > start.position).toBe(true);
  expect(batch.end).toBe((await third.lookup(users, [], NEVER)).high);
  // A branch means the same by a position.
  await using branch = third.branch("b");
  await using other = reading(branch, batch.end);
  expect(await other.next()).toEqual({ changes: [], end: batch.end, bytes: 0 });
});

test("files that a query names are watched too", async () => {
  await using folder = await testFolder();
  await writeFile(folder.file("a.csv"), "id\n1\n");
  await using source = duckdbSource(folder, { path: "." });
  const model = queryModel("SELECT id FROM read_csv(['a.csv'])", { key: ["id"] });
  const start = await source.open([model], [], NEVER);
  await using log = reading(source, start.position);
  await log.next();
  await appendFile(folder.file("a.csv"), "2\n");
  expect([...ids(await log.changed())].sort()).toEqual(["file:a.csv", "view:a"]);
  expect((await scanned(source, model)).rows).toEqual([["1"], ["2"]]);
});

test("a data file is neither told nor read before it has been left alone", async () => {
  await using folder = await testFolder();
  const settleMs = 400;
  await writeFile(folder.file("users.csv"), "id\n1\n");
  await using source = duckdbSource(folder, { views: { users: "users.csv" }, settle_ms: settleMs, poll_ms: 100 });
  const start = await source.open([users], [], NEVER);
  await using log = reading(source, start.position);
  await log.next();
  let writtenAt = 0;
  const told = log.changed().then(() => Date.now());
  for (let id = 2; id < 6; id += 1) {
    await appendFile(folder.file("users.csv"), `${id}\n`);
    writtenAt = Date.now();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const rows = scanned(source, users).then((found) => ({ ...found, at: Date.now() }));
  const { rows: read, at } = await rows;
  expect(read).toEqual([["1"], ["2"], ["3"], ["4"], ["5"]]);
  expect(at - writtenAt).toBeGreaterThanOrEqual(settleMs - 5);
  expect((await told) - writtenAt).toBeGreaterThanOrEqual(settleMs - 5);
});

test("rows of files that were written to while they were read are given to nobody", async () => {
  await using folder = await testFolder();
  await duckdb(":memory:", `COPY (SELECT i AS id FROM range(200000) r(i)) TO '${folder.file("users.csv")}'`);
  await using source = duckdbSource(folder, { views: VIEWS });
  const over = new AbortController();
  const writing = (async () => {
    for (let id = 200_000; !over.signal.aborted; id += 1) await appendFile(folder.file("users.csv"), `${id}\n`);
  })();
  await expect(scanned(source, users)).rejects.toMatchObject({
    code: "source.data",
    message: "model users: a data file was written to while it was read",
  });
  over.abort();
  await writing;
  const { chunks } = await scanned(source, tableModel("users", { key: ["id"] }));
  expect(chunks[0]!.rows.length).toBe(LIMIT.rows);
});
