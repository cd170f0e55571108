import { expect, test } from "vitest";
import type { Change } from "../../contracts/change.ts";
import type { Log } from "../../contracts/log.ts";
import { type Model, ON_DEMAND } from "../../contracts/model.ts";
import type { ModelNeeds, Source } from "../../contracts/source.ts";
import { FIELDS, startMaterialize } from "../../../test/fakes/materialize/harness.ts";
import type { Row } from "../../../test/fakes/materialize/objects.ts";
import connector from "./index.ts";
import { Sessions } from "./sessions.ts";
import { Subscription } from "./subscription.ts";

const LOG: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => LOG };
const NEVER = new AbortController().signal;
const LIMIT = { rows: 2, bytes: 1_000_000 };
const common = { source: "s", diff: ON_DEMAND };
const MODEL: Model = {
  ...common,
  kind: "table",
  name: "t",
  table: { namespace: "shop", name: "t" },
  key: ["id"],
};

async function stage() {
  const fake = await startMaterialize();
  const object = fake.timeline.create("shop.t", FIELDS);
  const make = (): Source =>
    connector.create(connector.settings.parse(fake.settings), { name: "s", project: "p", log: LOG });
  const source = make();
  const write = (...updates: readonly (readonly [1 | -1, string, string])[]): void =>
    fake.timeline.write(
      object,
      updates.map(([diff, id, name]) => ({ diff, row: rowOf(id, name) })),
    );
  return {
    ...fake,
    object,
    source,
    make,
    write,
    [Symbol.asyncDispose]: async () => {
      await source[Symbol.asyncDispose]();
      await fake[Symbol.asyncDispose]();
    },
  };
}

function rowOf(id: string, name: string): Row {
  return [id, name, null, null];
}

/** So many changes from a position on. */
async function changes(source: Source, after: string, count: number): Promise<readonly Change[]> {
  const found: Change[] = [];
  const stop = new AbortController();
  for await (const batch of source.read(after, stop.signal)) {
    found.push(...batch.changes);
    if (found.length >= count) break;
  }
  stop.abort();
  return found;
}

function query(sql: string, capture: "auto" | "diff" = "auto"): Model {
  return { ...common, kind: "query", name: "q", sql, key: ["id"], capture, windowMs: 0 };
}

const told = (all: readonly Change[]) =>
  all.map(({ op, before, after }) => [op, before?.[1] ?? null, after?.[1] ?? null]);

test("what is committed while nobody listens is told from any change on, with the same positions", async () => {
  await using at = await stage();
  const { position, incarnation } = await at.source.open([MODEL], [], NEVER);
  at.write([1, "1", "a"], [1, "2", "b"]);
  at.write([-1, "1", "a"], [1, "1", "c"], [-1, "2", "b"]);
  at.write([1, "3", "d"]);
  const all = await changes(at.source, position, 5);
  expect(told(all)).toEqual([
    ["insert", null, "a"],
    ["insert", null, "b"],
    ["delete", "b", null],
    ["update", "a", "c"],
    ["insert", null, "d"],
  ]);
  for (const [index, { position: from }] of all.slice(0, -1).entries()) {
    await using again = at.make();
    await again.open([MODEL], [{ position: from, incarnation }], NEVER);
    const rest = await changes(again, from, all.length - 1 - index);
    expect(rest.map((each) => each.position)).toEqual(all.slice(index + 1).map((each) => each.position));
  }
});

test("a timestamp of which a part has been fetched is not complete", async () => {
  await using at = await stage();
  const ids = Array.from({ length: 600 }, (_, index) => String(index + 1_000));
  at.write(...ids.map((id) => [1, id, "a"] as const));
  const { position } = await at.source.open([MODEL], [], NEVER);
  // The 1,000th row of it is one half of an update.
  at.write([1, "0", "a"], ...ids.flatMap((id) => [[-1, id, "a"] as const, [1, id, "b"] as const]));
  const all = await changes(at.source, position, 601);
  expect(all.map(({ op }) => op)).toEqual(["insert", ...ids.map(() => "update")]);
  expect(new Set(all.map(({ transaction }) => transaction.id)).size).toBe(1);
});

test("a cursor knows what is complete, and what it has given out", async () => {
  await using at = await stage();
  await using sessions = new Sessions(connector.settings.parse(at.settings), ".");
  const cursor = await Subscription.open(sessions, '"shop"."t"', null, NEVER);
  at.write(...Array.from({ length: 1_500 }, (_, index) => [1, String(index), "a"] as const));
  const { at: timestamp } = at.object.updates[0]!;
  expect(cursor.covers(timestamp)).toBe(true);
  while (cursor.fields.length === 0 || !cursor.isComplete(timestamp - 1n)) await cursor.pull(NEVER);
  expect(cursor.isComplete(timestamp)).toBe(false);
  expect(cursor.take(timestamp, timestamp)).toEqual([]);
  while (!cursor.isComplete(timestamp)) await cursor.pull(NEVER);
  expect(cursor.take(timestamp, timestamp).map(({ diffs }) => diffs.length)).toEqual([1_500]);
  expect(cursor.covers(timestamp)).toBe(false);
  expect(cursor.covers(timestamp + 1n)).toBe(true);
  cursor.close();
  expect(cursor.covers(timestamp + 1n)).toBe(false);
});

test("while nothing changes one cursor is open and the clock is all that is asked; it is closed with the reading", async () => {
  await using at = await stage();
  const { position } = await at.source.open([MODEL], [], NEVER);
  const stop = new AbortController();
  let batches = 0;
  const from = at.server.statements.length;
  for await (const _batch of at.source.read(position, stop.signal)) if ((batches += 1) > 5) stop.abort();
  const asked = at.server.statements.slice(from).map((sql) => sql.replace(/ c .*/, ""));
  expect([...new Set(asked)].sort()).toEqual(["FETCH 1000 tailrace", "SELECT mz_now()"]);
  await at.server.until(() => at.server.sessions === 1);
});

test("rows that exist come in pages of one timestamp, in the order of keys, and are found by key", async () => {
  await using at = await stage();
  at.write([1, "10", "j"], [1, "9", "i"], [1, "1", "a"], [1, "2", "b'\\"]);
  const { position } = await at.source.open([MODEL], [], NEVER);
  const first = await at.source.snapshot(MODEL, null, LIMIT, NEVER);
  at.write([1, "3", "later"]);
  const second = await at.source.snapshot(MODEL, first.next, LIMIT, NEVER);
  expect([...first.rows, ...second.rows].map(([id]) => id)).toEqual(["1", "2", "9", "10"]);
  expect(second.next).toBeNull();
  expect(second.high).toBe(first.high);
  const [later] = await changes(at.source, position, 1);
  expect(first.sees(later!.transaction.id)).toBe(false);
  const found = await at.source.lookup(MODEL, [["2"], ["3"], ["4"]], NEVER);
  expect(new Set(found.rows.map(([, name]) => name))).toEqual(new Set(["b'\\", "later"]));
  expect(found.sees(later!.transaction.id)).toBe(true);
  expect((await at.source.lookup(MODEL, [["4"]], NEVER)).high > later!.position).toBe(true);
  const rest = await at.source.snapshot(MODEL, ["9"], LIMIT, NEVER);
  expect(rest.rows.map(([id]) => id)).toEqual(["10"]);
});

test("two rows with one key are a key_violation", async () => {
  await using at = await stage();
  const { position } = await at.source.open([MODEL], [], NEVER);
  at.write([1, "1", "a"], [1, "1", "b"]);
  await expect(changes(at.source, position, 1)).rejects.toMatchObject({
    code: "source.model",
    message: expect.stringContaining("key_violation"),
  });
});

test("a query is followed too, and another SQL is another history", async () => {
  await using at = await stage();
  const stored = await at.source.open([query("SELECT * FROM shop.t")], [], NEVER);
  at.write([1, "1", "a"]);
  expect(told(await changes(at.source, stored.position, 1))).toEqual([["insert", null, "a"]]);
  await using other = at.make();
  await expect(other.open([query("SELECT  *  FROM shop.t")], [stored], NEVER)).rejects.toMatchObject({
    code: "source.gap.replaced",
  });
});

test("a query that is to be compared is", async () => {
  await using at = await stage();
  at.write([1, "1", "a"]);
  const model = query("SELECT * FROM shop.t", "diff");
  expect(await at.source.capture(model, NEVER)).toMatchObject({
    kind: "diff",
    because: [expect.stringContaining("capture: diff")],
  });
  const rows: unknown[] = [];
  for await (const chunk of at.source.scan(model, null, LIMIT, NEVER)) rows.push(...chunk.rows);
  expect(rows).toEqual([rowOf("1", "a")]);
  expect(await at.source.explain(model, NEVER)).toMatchObject({ kind: "diff" });
  expect(await at.source.explain(MODEL, NEVER)).toMatchObject({ kind: "feed" });
});

test("check names what is missing", async () => {
  await using at = await stage();
  const codes = async (model: Model): Promise<readonly (readonly [string, string])[]> => {
    const findings = await at.source.check([{ model } as ModelNeeds], NEVER);
    return findings.map(({ code, message }) => [code, message]);
  };
  expect(await codes(MODEL)).toEqual([]);
  expect(await codes({ ...MODEL, key: null })).toEqual([["materialize.model", expect.stringContaining("needs `key`")]]);
  expect(await codes({ ...MODEL, table: { namespace: "shop", name: "none" } })).toEqual([
    ["materialize.model", expect.stringContaining("there is no")],
  ]);
  at.write([1, "1", "a"], [1, "1", "b"]);
  expect(await codes(MODEL)).toEqual([["materialize.duplicate_key", expect.stringContaining("1 keys (id)")]]);
  at.engine.forbidden.add("shop.t");
  expect(await codes(MODEL)).toEqual([["materialize.privileges", expect.stringContaining("permission denied")]]);
});

test("a wrong password is said to be one", async () => {
  await using at = await stage();
  const settings = connector.settings.parse({ ...at.settings, password: "wrong" });
  await using source = connector.create(settings, { name: "s", project: "p", log: LOG });
  await expect(source.check([], NEVER)).rejects.toMatchObject({ code: "source.auth" });
});
