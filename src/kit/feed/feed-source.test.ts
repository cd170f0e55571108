import { expect, test } from "vitest";
import type { Log } from "../../contracts/log.ts";
import { type Model, ON_DEMAND } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import { FeedSource } from "./feed-source.ts";
import type { FeedPage, Mark, ModelFeed, Warehouse } from "./model-feed.ts";
import { Pace, pollSettings } from "./pace.ts";
import { endOf } from "./position.ts";

const LOG: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => LOG };
const NEVER = new AbortController().signal;
const MODEL: Model = {
  kind: "table",
  name: "t",
  source: "s",
  diff: ON_DEMAND,
  table: { namespace: null, name: "t" },
  key: null,
};
const column = { name: "id", type: "text", json: "string", comparison: "text", nullable: true } as const;
const RELATION: Relation = {
  id: "t",
  namespace: "",
  name: "t",
  version: 1,
  columns: [column],
  key: [0],
  oldRows: "full",
};
const LIMIT = { rows: 1, bytes: 1_000 };

/** A history in memory: of each mark the keys that were inserted. */
class History implements ModelFeed {
  readonly kind = "feed";
  readonly marks: string[][] = [];
  readonly forgotten: Mark[] = [];
  readonly made: string[] = [];
  id = "one";
  scans = 0;

  relation = () => Promise.resolve(RELATION);
  incarnation = () => Promise.resolve(this.id);
  newest = () => Promise.resolve(String(this.marks.length));
  estimate = () => Promise.resolve(null);
  prepare = () => Promise.resolve(void this.made.push("stream"));
  prove = () => Promise.resolve();
  forget = (mark: Mark) => Promise.resolve(void this.forgotten.push(mark));

  async *changes({ mark, side }: { mark: Mark; side: string }, upTo: Mark): AsyncGenerator<FeedPage> {
    for (let at = Number(mark) + (side === "after" ? 1 : 0); at <= Number(upTo); at += 1)
      for (const key of this.marks[at - 1] ?? []) {
        const row = { mark: String(at), committedAt: 1n, image: "new", values: [key], row: null } as const;
        yield await Promise.resolve({ relation: RELATION, rows: [row], bytes: 1 });
      }
  }

  async *scanAt(mark: Mark, after: readonly string[] | null) {
    this.scans += 1;
    const keys = this.marks.slice(0, Number(mark)).flat();
    for (let at = after === null ? 0 : keys.indexOf(after[0]!) + 1; at < keys.length; at += 1) {
      const next = at + 1 < keys.length ? [keys[at]!] : null;
      yield await Promise.resolve({ relation: RELATION, rows: [[keys[at]!]], next });
    }
  }

  lookupAt = (_mark: Mark, keys: readonly (readonly string[])[]) =>
    Promise.resolve({ relation: RELATION, rows: keys, next: null });
}

function stage() {
  const history = new History();
  const warehouse: Warehouse = {
    check: () => Promise.resolve([]),
    reading: () => Promise.resolve(history),
    explain: () => Promise.reject(new Error("not asked for here")),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return { history, source: new FeedSource({ warehouse, poll: { fastestMs: 1, slowestMs: 1 }, log: LOG }) };
}

test("only whole marks are forgotten, when every sync has stored them; a branch forgets nothing", async () => {
  const { history, source } = stage();
  await using _source = source;
  history.marks.push(["a", "b"]);
  await source.open([MODEL], [], NEVER);
  await using branch = source.branch();
  await branch.open([MODEL], [], NEVER);
  branch.ack(endOf("1"));
  source.ack("1-0000000000");
  expect(history.forgotten).toEqual([]);
  source.ack(endOf("1"));
  source.ack(endOf("1"));
  await expect.poll(() => history.forgotten).toEqual(["1"]);
  expect(history.made).toEqual(["stream", "stream"]);
});

test("what is read is proven first; a history that ends before our place is a gap", async () => {
  const { history, source } = stage();
  await using _source = source;
  history.marks.push(["a"], ["b"]);
  const { position } = await source.open([MODEL], [], NEVER);
  history.marks.pop();
  const reading = source.read(position, NEVER)[Symbol.asyncIterator]();
  await expect(reading.next()).rejects.toMatchObject({ code: "source.gap.replaced" });
});

test("no chunk is given out that is older than rows that were read beside it", async () => {
  const { history, source } = stage();
  await using _source = source;
  history.marks.push(["a", "b", "c"]);
  await source.open([MODEL], [], NEVER);
  const first = await source.snapshot(MODEL, null, LIMIT, NEVER);
  const second = await source.snapshot(MODEL, first.next, LIMIT, NEVER);
  expect([first.rows, second.rows, history.scans]).toEqual([[["a"]], [["b"]], 1]);
  history.marks.push(["d"]);
  // Both at once: the chunk must see what the lookup saw, though its statement was there before.
  const [found, third] = await Promise.all([
    source.lookup(MODEL, [["a"]], NEVER),
    source.snapshot(MODEL, second.next, LIMIT, NEVER),
  ]);
  expect(found.high).toBe(endOf("2"));
  expect([third.rows, third.high]).toEqual([[["c"]], endOf("2")]);
});

test("two syncs that load one model have a statement each; a place that is not known begins one", async () => {
  const { history, source } = stage();
  await using _source = source;
  history.marks.push(["a", "b", "c", "d"]);
  await source.open([MODEL], [], NEVER);
  const places: (readonly string[] | null)[] = [null, null];
  for (let chunk = 0; chunk < 3; chunk += 1)
    for (const sync of [0, 1]) places[sync] = (await source.snapshot(MODEL, places[sync]!, LIMIT, NEVER)).next;
  expect(places).toEqual([["c"], ["c"]]);
  expect(history.scans).toBeLessThanOrEqual(4);
  expect((await source.snapshot(MODEL, ["b"], LIMIT, NEVER)).rows).toEqual([["c"]]);
});

test("polling slows down with how long it has been quiet, within its bounds", () => {
  const pace = new Pace({ fastestMs: 100, slowestMs: 5_000 }, 0);
  expect([0, 500, 1_000, 20_000, 3_600_000].map((nowMs) => pace.waitMs(nowMs))).toEqual([100, 100, 100, 2_000, 5_000]);
  pace.changed(3_600_000);
  expect(pace.waitMs(3_600_000)).toBe(100);
  const settings = pollSettings({ fastestMs: 1_000, slowestMs: 30_000 });
  expect(settings.parse(undefined)).toEqual({ fastestMs: 1_000, slowestMs: 30_000 });
  expect(settings.safeParse({ fastest_ms: 60_000 }).success).toBe(false);
});
