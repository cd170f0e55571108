import { expect, test } from "vitest";
import type { Change } from "../../contracts/change.ts";
import {
  AUTOMATIC,
  changesSince,
  databricks,
  LEGACY,
  LIMIT,
  NEVER,
  table,
} from "../../../test/fakes/databricks/source.ts";

const COLUMNS = [
  { name: "id", type: "bigint" },
  { name: "name", type: "string" },
];
const T = table("shop.t");
const told = (changes: readonly Change[]) => changes.map(({ op, before, after }) => [op, before, after]);

async function stage(properties: Readonly<Record<string, string>> = LEGACY) {
  const stack = new AsyncDisposableStack();
  const { fake, source } = stack.use(await databricks());
  const t = fake.warehouse.create("shop.t", { columns: COLUMNS, primaryKey: ["id"], properties });
  t.write({
    insert: [
      ["1", "a"],
      ["2", "b"],
    ],
  });
  const { position, incarnation } = await source.open([T], [], NEVER);
  return { fake, source, t, start: { position, incarnation }, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test("within a version, keys that are gone come first, and an update is one change wherever its halves were", async () => {
  await using at = await stage();
  const { fake, source, t, start } = at;
  fake.fetchRows = 1;
  // Key 1 is renamed to 0: an old key that is gone, and a new one.
  t.write({
    update: [
      { at: ([id]) => id === "1", to: () => ["0", "a"] },
      { at: ([id]) => id === "2", to: () => ["2", "c"] },
    ],
    insert: [["3", "d"]],
  });
  const changes = await changesSince(source, T, start.position);
  expect(told(changes)).toEqual([
    ["delete", ["1", "a"], null],
    ["insert", null, ["0", "a"]],
    ["update", ["2", "b"], ["2", "c"]],
    ["insert", null, ["3", "d"]],
  ]);
  expect(changes.map(({ position }) => position)).toEqual([0, 1, 2, 3].map((n) => `0000000000000000002-000000000${n}`));
});

test("rows that were rewritten as they were are no changes: by MERGE, or by a full recompute", async () => {
  await using at = await stage(AUTOMATIC);
  const { source, t, start } = at;
  t.write({ update: [{ at: () => true, to: (row) => row }] });
  t.overwrite([
    ["1", "a"],
    ["2", "z"],
    ["3", "new"],
  ]);
  t.touch("OPTIMIZE");
  expect(told(await changesSince(source, T, start.position))).toEqual([
    ["update", ["2", "b"], ["2", "z"]],
    ["insert", null, ["3", "new"]],
  ]);
});

test("a column that was added is told with the range that has it", async () => {
  await using at = await stage();
  const { source, t, start } = at;
  t.write({ insert: [["3", "c"]] });
  t.alter("ADD COLUMNS", [...COLUMNS, { name: "extra", type: "int" }], (row) => [...row, null]);
  t.write({ insert: [["4", "d", "7"]] });
  expect(told(await changesSince(source, T, start.position))).toEqual([
    ["insert", null, ["3", "c", null]],
    ["insert", null, ["4", "d", "7"]],
  ]);
});

test("a range over a column that was renamed is read in parts, each with its own columns", async () => {
  await using at = await stage({ ...LEGACY, "delta.columnMapping.mode": "name" });
  const { source, t, start } = at;
  t.write({ insert: [["3", "c"]] });
  t.alter("RENAME COLUMN", [COLUMNS[0]!, { name: "title", type: "string" }], (row) => row);
  t.write({ insert: [["4", "d"]] });
  const changes = await changesSince(source, T, start.position);
  expect(changes.map(({ after, relation }) => [after![0], relation.columns[1]!.name])).toEqual([
    ["3", "name"],
    ["4", "title"],
  ]);
  expect(changes[0]!.relation.version).not.toBe(changes[1]!.relation.version);
});

test("where a version cannot be read with the columns of now, that is a gap by name", async () => {
  await using at = await stage();
  const { source, t, start } = at;
  t.write({ insert: [["3", "c"]] });
  t.alter("WRITE", [COLUMNS[0]!, { name: "name", type: "int" }], ([id]) => [id!, "0"]);
  await expect(changesSince(source, T, start.position)).rejects.toMatchObject({
    code: "source.gap.shape",
    message: expect.stringContaining("version 2"),
  });
});

const ALTER = "ALTER TABLE `main`.`shop`.`t` SET TBLPROPERTIES (delta.enableChangeDataFeed = true)";

test("a feed that is off, or was off for a while, is a gap with the statement", async () => {
  await using at = await stage();
  const { source, t, start } = at;
  t.setProperties({ "delta.enableChangeDataFeed": "false" });
  await expect(changesSince(source, T, start.position)).rejects.toMatchObject({
    code: "source.gap.feed",
    message: expect.stringContaining(ALTER),
  });
  t.write({ delete: () => true });
  t.setProperties({ "delta.enableChangeDataFeed": "true" });
  await source.open([T], [start], NEVER);
  await expect(changesSince(source, T, start.position)).rejects.toMatchObject({
    code: "source.gap.feed",
    message: expect.stringContaining("version 2"),
  });
});

test("a log that begins after our place is a gap, already when it is opened", async () => {
  await using at = await stage();
  const { source, t, start } = at;
  t.write({ insert: [["3", "c"]] });
  t.write({ insert: [["4", "d"]] });
  t.cleanLog(2);
  await source.open([T], [start], NEVER);
  t.cleanLog(3);
  const gap = { code: "source.gap.purged", message: expect.stringContaining("delta.logRetentionDuration") };
  await expect(source.open([T], [start], NEVER)).rejects.toMatchObject(gap);
  await expect(source.plan([T], [start], NEVER)).rejects.toMatchObject(gap);
});

test("columns may be called as ours are", async () => {
  await using at = await databricks();
  const { fake, source } = at;
  const columns = ["at", "c0", "v", "m", "k0", "op"].map((name) => ({ name, type: "string" }));
  const model = table("shop.names", ["at", "c0"]);
  const t = fake.warehouse.create("shop.names", { columns, properties: LEGACY });
  t.write({
    insert: [
      ["1", "b", "", "", "", ""],
      ["2", "a", "", "", "", ""],
    ],
  });
  const start = await source.open([model], [], NEVER);
  const lookup = await source.lookup(model, [["2", "a"]], NEVER);
  expect(lookup.rows).toEqual([["2", "a", "", "", "", ""]]);
  t.write({ update: [{ at: () => true, to: ([one, two]) => [one!, two!, "x", "", "", ""] }] });
  expect((await changesSince(source, model, start.position)).map(({ op, after }) => [op, after![0]])).toEqual([
    ["update", "1"],
    ["update", "2"],
  ]);
});

test("a place in the midst of a version is resumed in it; what was delivered is left out", async () => {
  await using at = await stage();
  const { source, t, start } = at;
  t.write({ insert: Array.from({ length: 30 }, (_, n) => [String(100 + n), "x"]) });
  t.write({ insert: [["3", "c"]] });
  const all = await changesSince(source, T, start.position);
  const { position } = all[11]!;
  await source.open([T], [{ ...start, position }], NEVER);
  expect(await changesSince(source, T, position)).toEqual(all.slice(12));
});

test("rows whose answer was lost on the way are read again, and none is left out", async () => {
  await using at = await stage();
  const { fake, source, t, start } = at;
  fake.fetchRows = 5;
  t.write({ insert: Array.from({ length: 23 }, (_, n) => [String(100 + n), "x"]) });
  const all = await changesSince(source, T, start.position);
  let fetches = 0;
  // The driver would go on with the next ones, were it to ask again by itself.
  const isOfChanges = (): boolean => fake.statements.at(-1)!.includes("ORDER BY o0");
  fake.faults.add(({ method }) => method === "FetchResults" && isOfChanges() && (fetches += 1) === 3, { kind: "lost" });
  const told: Change[] = [];
  let end = start.position;
  const reading = async (): Promise<void> => {
    for await (const batch of source.read(end, NEVER)) {
      told.push(...batch.changes);
      end = batch.end;
    }
  };
  await expect(reading()).rejects.toMatchObject({ code: "source.unreachable" });
  expect(told.length).toBeGreaterThan(0);
  expect(told.length).toBeLessThan(23);
  expect([...told, ...(await changesSince(source, T, end))]).toEqual(all);
});

test("one statement serves a backfill, until something newer was read beside it", async () => {
  await using at = await stage();
  const { fake, source, t } = at;
  t.write({ insert: Array.from({ length: 8 }, (_, n) => [String(10 + n), "x"]) });
  const limit = { ...LIMIT, rows: 2 };
  const scans = () =>
    fake.statements.filter((sql) => sql.startsWith("SELECT CAST(m.`id`") && sql.includes("ORDER BY")).length;
  const first = await source.snapshot(T, null, limit, NEVER);
  t.write({ update: [{ at: () => true, to: ([id]) => [id!, "later"] }] });
  const second = await source.snapshot(T, first.next, limit, NEVER);
  expect(scans()).toBe(1);
  expect(second.rows[0]).toEqual(["10", "x"]);
  expect(second.sees("0000000000000000003")).toBe(false);
  expect((await source.lookup(T, [["1"]], NEVER)).rows).toEqual([["1", "later"]]);
  const third = await source.snapshot(T, second.next, limit, NEVER);
  expect(scans()).toBe(2);
  expect(third.rows[0]).toEqual(["12", "later"]);
  expect(third.sees("0000000000000000003")).toBe(true);
  // And in a settled state everything that was delivered before is seen.
  t.touch();
  await source.settle(NEVER);
  expect((await source.snapshot(T, third.next, limit, NEVER)).high).toBe("0000000000000000004-zzzzzzzzzz");
});

test("keys of several columns, of every type that can be one, are read in order and found", async () => {
  await using at = await databricks();
  const { fake, source } = at;
  const types = ["string", "int", "decimal(10,2)", "date", "timestamp", "boolean", "binary"];
  const columns = types.map((type, n) => ({ name: `k${n}`, type }));
  const rows = [
    ["é", "-5", "1.50", "2024-02-29", "2024-01-01 00:00:00.000001", "true", "00ff"],
    ["é", "-5", "1.50", "2024-02-29", "2024-01-01 00:00:00.000002", "true", "00ff"],
    ["z'`\\", "7", "-0.01", "1969-12-31", "1969-12-31 23:59:59", "false", "ff"],
  ];
  fake.warehouse
    .create("shop.k", { columns, primaryKey: columns.map(({ name }) => name), properties: LEGACY })
    .write({ insert: rows });
  const model = table("shop.k");
  const seen: unknown[] = [];
  let next: readonly string[] | null = null;
  do {
    const chunk = await source.snapshot(model, next, { ...LIMIT, rows: 1 }, NEVER);
    // Not from the statement that is open: by the cursor alone.
    await source.lookup(model, [], NEVER);
    await source.settle(NEVER);
    fake.warehouse.find(["shop", "k"])!.touch();
    await source.settle(NEVER);
    seen.push(...chunk.rows);
    next = chunk.next;
  } while (next !== null);
  expect(seen).toEqual([
    ["z'`\\", "7", "-0.01", "1969-12-31", "1969-12-31 23:59:59+00", "false", "\\xff"],
    ["é", "-5", "1.50", "2024-02-29", "2024-01-01 00:00:00.000001+00", "true", "\\x00ff"],
    ["é", "-5", "1.50", "2024-02-29", "2024-01-01 00:00:00.000002+00", "true", "\\x00ff"],
  ]);
  const found = await source.lookup(
    model,
    [...(seen as string[][]), ["no", "1", "1", "nonsense", "x", "true", "zz"]],
    NEVER,
  );
  expect(found.rows.length).toBe(3);
});

test("nested values are JSON with their nulls and microseconds; every session is in UTC", async () => {
  await using at = await databricks();
  const { fake, source } = at;
  const columns = [
    { name: "id", type: "int" },
    { name: "s", type: "struct<a:int,b:timestamp>" },
    { name: "v", type: "variant" },
  ];
  const model = table("shop.nested", ["id"]);
  fake.warehouse.create("shop.nested", { columns, properties: LEGACY }).write({ insert: [["1", '{"a":null}', "[1]"]] });
  const { rows, relation } = await source.snapshot(model, null, LIMIT, NEVER);
  expect(rows).toEqual([["1", '{"a":null}', "[1]"]]);
  expect(relation.columns.map(({ json }) => json)).toEqual(["number", "json", "json"]);
  const select = fake.statements.at(-1)!;
  expect(select).toContain("to_json(m.`s`, map('ignoreNullFields', 'false', 'timestampFormat', ");
  expect(select).toContain("to_json(m.`v`)");
  fake.endSessions();
  await expect(source.lookup(model, [["1"]], NEVER)).rejects.toMatchObject({ code: "source.unreachable" });
  expect((await source.lookup(model, [["1"]], NEVER)).rows).toHaveLength(1);
  expect(fake.logins).toBe(2);
  expect(fake.statements.filter((sql) => sql === "SET TIME ZONE 'UTC'")).toHaveLength(2);
});

test("a materialized view is followed where its changes can be read, and compared where not", async () => {
  await using at = await databricks();
  const { fake, source } = at;
  for (const kind of ["MATERIALIZED_VIEW", "STREAMING_TABLE"] as const) {
    const mv = fake.warehouse.create("shop.mv", { columns: COLUMNS, kind, properties: AUTOMATIC });
    mv.write({ insert: [["1", "a"]] });
    const model = table("shop.mv", ["id"]);
    const start = await source.open([model], [], NEVER);
    expect((await source.capture(model, NEVER)).kind).toBe("log");
    mv.overwrite([["1", "b"]]);
    expect(told(await changesSince(source, model, start.position))).toEqual([["update", ["1", "a"], ["1", "b"]]]);
    fake.warehouse.create("shop.mv", { columns: COLUMNS, kind }).write({ insert: [["1", "a"]] });
    await expect(source.open([model], [start], NEVER)).rejects.toMatchObject({ code: "source.gap.feed" });
    expect(await source.capture(model, NEVER)).toMatchObject({ kind: "diff", triggers: new Set(["tables"]) });
  }
});
