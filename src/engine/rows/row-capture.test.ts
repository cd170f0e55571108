import { describe, expect, onTestFinished, test } from "vitest";
import { queryModel } from "../../../test/support/models.ts";
import { MemoryRowIndex } from "../../../test/support/row-index.ts";
import { RowPipeline, type RowPipelineOptions } from "../../../test/support/row-pipeline.ts";
import { placeOf, ShopDatabase, type Statement } from "../../../test/support/shop-database.ts";
import { mapOf, relationWith, syncWith } from "../../../test/support/syncs.ts";
import type { Delivery } from "../../contracts/destination.ts";
import type { BackfillProgress } from "../../contracts/state.ts";
import type { Sync } from "../../contracts/sync.ts";
import type { Values } from "../../contracts/values.ts";

const model = queryModel("SELECT", { key: ["user", "order"], windowMs: 0 });
const FIRST: BackfillProgress = { generation: 0, after: null, rows: 0 };

interface Told {
  readonly id: string;
  readonly what: string;
  readonly key: string;
  readonly row: readonly (string | null)[];
  readonly committedAt: bigint | null;
}

/** A shop whose user 1 has the orders 1 and 2, and a pipeline of its query. */
function shop(overrides: Partial<Sync> = {}) {
  const database = new ShopDatabase();
  const told: Told[] = [];
  const sync = syncWith({ model, maxDeletes: { kind: "share", share: 1 }, ...overrides });
  let index = new MemoryRowIndex(2);
  let streamed = 0;
  let pipeline: RowPipeline;
  const open = (options: Partial<RowPipelineOptions> & { readonly backfill?: BackfillProgress | null } = {}): void => {
    const { backfill = null } = options;
    pipeline = new RowPipeline({
      sync,
      source: database.source,
      capture: { kind: "live", query: database.query },
      index,
      keyColumns: 2,
      checkpoint: { position: placeOf(streamed), incarnation: "i", backfill },
      onDelivered: ({ id, op, change, key, record, committedAt }: Delivery) => {
        const row = record.values.map((value) => (typeof value === "string" ? value : null));
        told.push({ id, what: op === "event" ? change : op, key: key.join("/"), row, committedAt });
      },
      ...options,
    });
    const opened = pipeline;
    onTestFinished(() => opened[Symbol.asyncDispose]());
  };
  const stream = (...statements: readonly Statement[]): void => {
    database.commit(statements);
    for (; streamed < database.log.length; streamed += 1) {
      pipeline.capture.accept({ changes: database.log[streamed]!.changes, end: placeOf(streamed + 1), bytes: 1 });
    }
  };
  /** What is told until everything is. */
  const settled = async (): Promise<readonly Told[]> => {
    await pipeline.settle();
    return told.splice(0);
  };
  database.commit([
    { kind: "user", id: "1", active: "yes" },
    { kind: "order", id: "1", owner: "1" },
    { kind: "order", id: "2", owner: "1" },
  ]);
  streamed = 1;
  return {
    database,
    told,
    open,
    stream,
    settled,
    get pipeline() {
      return pipeline;
    },
    /** Another process. */
    async restart(options: Parameters<typeof open>[0] = {}): Promise<void> {
      await pipeline[Symbol.asyncDispose]();
      index = new MemoryRowIndex(2, index);
      open(options);
    },
  };
}

const briefly = (told: readonly Told[]): readonly string[] => told.map(({ what, key }) => `${what} ${key}`);

describe("a query that is followed live", () => {
  test("sends the rows that exist, then what changes, with the time of the change; nothing where nothing changed", async () => {
    const at = shop();
    at.open({ backfill: FIRST });
    const first = await at.settled();
    expect(briefly(first)).toEqual(["upsert 1/1", "upsert 1/2"]);
    expect(first.map(({ committedAt }) => committedAt)).toEqual([null, null]);
    at.stream({ kind: "touch", id: "1" });
    expect(await at.settled()).toEqual([]);
    at.stream({ kind: "user", id: "1", active: "no" });
    const [one, two] = await at.settled();
    expect(one).toMatchObject({ what: "upsert", row: ["1", "1", "5", "no"], committedAt: 3n });
    expect(two).toMatchObject({ what: "upsert", key: "1/2" });
    at.stream({ kind: "noOrder", id: "2" });
    expect(briefly(await at.settled())).toEqual(["delete 1/2"]);
    expect(at.pipeline.checkpoint).toMatchObject({ position: placeOf(4), backfill: null });
  });

  test("sends what waited together once, and as it is in the end", async () => {
    const at = shop();
    at.open({ backfill: FIRST });
    await at.settled();
    at.stream({ kind: "order", id: "1", owner: "1" });
    await expect.poll(() => at.pipeline.queue.entries).toBe(1);
    at.stream({ kind: "order", id: "1", owner: "1" });
    await expect.poll(() => at.pipeline.capture.waitingBytes).toBe(0);
    const told = await at.settled();
    expect(told).toHaveLength(1);
    expect(told[0]!.row[2]).toBe("5");
  });

  test("a repeat has the id of the first, over a crash; what comes back has an id of its own", async () => {
    const at = shop();
    at.open({ backfill: FIRST });
    await at.settled();
    at.stream({ kind: "noOrder", id: "2" });
    await expect.poll(() => at.pipeline.queue.entries).toBe(1);
    await at.pipeline.take(1);
    at.pipeline.deliver(at.pipeline.taken[0]!, false);
    const [lost] = at.told.splice(0);
    await at.restart();
    // The change was not stored: it comes again.
    at.pipeline.capture.accept({ changes: at.database.log[1]!.changes, end: placeOf(9), bytes: 1 });
    at.pipeline.capture.accept({ changes: [], end: placeOf(9), bytes: 1 });
    await at.restart({ checkpoint: { position: placeOf(1), incarnation: "i", backfill: null } });
    at.pipeline.capture.accept({ changes: at.database.log[1]!.changes, end: placeOf(2), bytes: 1 });
    const [again] = await at.settled();
    expect(again).toEqual(lost);
    const ids = [lost!.id];
    for (const kind of ["order", "noOrder", "order"] as const) {
      at.stream(kind === "order" ? { kind, id: "2", owner: "1" } : { kind, id: "2" });
      ids.push(...(await at.settled()).map(({ id }) => id));
    }
    expect(new Set(ids).size).toBe(4);
  });

  test("a truncated table is a reading of all rows", async () => {
    const at = shop({ onTruncate: "stop" });
    at.open({ backfill: FIRST });
    await at.settled();
    at.database.commit([], true);
    at.stream({ kind: "user", id: "2", active: "yes" });
    expect(briefly(await at.settled())).toEqual(["delete 1/1", "delete 1/2"]);
    expect(at.pipeline.checkpoint.position).toBe(placeOf(3));
  });

  test("a row that becomes another record leaves the old one first", async () => {
    const at = shop({ match: "v", map: mapOf({ user: "user", order: "order", v: "v" }) });
    at.open({ backfill: FIRST });
    await at.settled();
    at.stream({ kind: "order", id: "2", owner: "1" });
    const told = await at.settled();
    expect(told.map(({ what, row }) => [what, row[2]])).toEqual([
      ["delete", "3"],
      ["upsert", "4"],
    ]);
  });
});

describe.each<{ mode: Sync["mode"]; on?: Sync["on"]; told: readonly (readonly string[])[] }>([
  { mode: "mirror", told: [["upsert 1/1"], ["upsert 1/1"], ["delete 1/1"], ["upsert 1/1"]] },
  { mode: "upsert", told: [["upsert 1/1"], ["upsert 1/1"], [], ["upsert 1/1"]] },
  { mode: "insert", told: [["create 1/1"], [], [], ["create 1/1"]] },
  { mode: "update", told: [["update 1/1"], ["update 1/1"], [], []] },
  { mode: "event", told: [["insert 1/1"], ["update 1/1"], ["delete 1/1"], ["insert 1/1"]] },
  { mode: "event", on: ["update"], told: [[], ["update 1/1"], [], []] },
])("mode $mode, on $on", ({ mode, on, told }) => {
  test("says what is new, what changed, and what leaves the where", async () => {
    const where = { text: "active = 'yes'", at: "tailrace.yml:1:1" };
    const at = shop({ mode, where, ...(on === undefined ? {} : { on }) });
    at.database.commit([{ kind: "noOrder", id: "2" }]);
    at.open({ backfill: FIRST });
    at.stream();
    const steps = [briefly(await at.settled())];
    for (const statement of [
      { kind: "order", id: "1", owner: "1" },
      { kind: "user", id: "1", active: "no" },
      { kind: "user", id: "1", active: "yes" },
    ] as const) {
      at.stream(statement);
      steps.push(briefly(await at.settled()));
    }
    expect(steps).toEqual(told);
  });
});

describe("all rows", () => {
  const diff = (database: ShopDatabase): RowPipelineOptions["capture"] => {
    return { kind: "diff", because: [], triggers: database.query.relations, timeDependent: false };
  };

  test("are compared when one of the tables changed: once more, and not more often, for what comes meanwhile", async () => {
    const at = shop();
    at.open({ backfill: FIRST, capture: diff(at.database) });
    await at.settled();
    at.stream({ kind: "user", id: "1", active: "no" });
    at.stream({ kind: "noOrder", id: "1" });
    expect(briefly(await at.settled()).toSorted()).toEqual(["delete 1/1", "upsert 1/2"]);
    expect(at.pipeline.checkpoint.position).toBe(placeOf(3));
  });

  test("are sent again by a resync, with ids of its own, and what is gone is removed", async () => {
    const at = shop();
    at.open({ backfill: FIRST });
    const first = await at.settled();
    at.database.commit([{ kind: "noOrder", id: "2" }]);
    await at.restart({ generation: 1, backfill: { ...FIRST, generation: 1 } });
    const again = await at.settled();
    expect(briefly(again)).toEqual(["upsert 1/1", "delete 1/2"]);
    expect(again[0]!.id).not.toBe(first[0]!.id);
    expect(at.pipeline.checkpoint.backfill).toBe(null);
  });

  test("go on after a stop where they were", async () => {
    const at = shop();
    at.open({ backfill: { generation: 0, after: ["1", "1"], rows: 1 } });
    expect(briefly(await at.settled())).toEqual(["upsert 1/2"]);
  });

  test("are noted and not sent where the rows that exist are not wanted", async () => {
    const at = shop({ backfill: false, mode: "event" });
    at.open({ backfill: FIRST });
    expect(await at.settled()).toEqual([]);
    at.stream({ kind: "user", id: "1", active: "no" });
    expect(briefly(await at.settled())).toEqual(["update 1/1", "update 1/2"]);
  });

  test("are not removed in numbers that nobody approved of", async () => {
    const at = shop({ maxDeletes: { kind: "rows", rows: 1 } });
    at.open({ backfill: FIRST });
    await at.settled();
    at.database.commit([{ kind: "noUser", id: "1" }]);
    await at.restart({ compares: true });
    await expect(at.settled()).rejects.toThrow("the comparison would remove 2 of 2 records");
    const held = { by: "diff", rows: 2, of: 2, generation: 0, until: null, approved: true } as const;
    await at.restart({ held });
    expect(briefly(await at.settled())).toEqual(["delete 1/1", "delete 1/2"]);
  });
});

describe("rows at fault", () => {
  const relation = relationWith({ id: "bigint", v: "text" }, { id: "3", name: "q" });
  const faulty = (rows: readonly Values[]): Partial<RowPipelineOptions> => {
    const chunk = { relation, rows, next: null, high: "0", sees: () => true };
    return {
      source: {
        describe: async () => relation,
        estimate: async () => null,
        settle: async () => {},
        lookup: async () => chunk,
        async *scan() {
          yield chunk;
        },
      },
      keyColumns: 1,
      index: new MemoryRowIndex(),
      backfill: FIRST,
    } as Partial<RowPipelineOptions>;
  };

  test("of several with one key the same one is sent each time, and that there are several is a failure", async () => {
    for (const rows of [
      [
        ["1", "a"],
        ["1", "b"],
        ["2", "c"],
      ],
      [
        ["1", "b"],
        ["1", "a"],
        ["2", "c"],
      ],
    ] as Values[][]) {
      const at = shop({ model: queryModel("SELECT", { name: "scores", key: ["id"] }) });
      at.open(faulty(rows));
      expect((await at.settled()).map(({ row }) => row)).toEqual(
        [
          ["1", "a"],
          ["2", "c"],
        ].slice(0, 2),
      );
      expect([...at.pipeline.letters.values()]).toMatchObject([{ code: "source.duplicate_key", key: ["1"] }]);
      expect([...at.pipeline.letters.values()][0]!.message).toMatch(/model `scores`.*\(id\)/);
    }
  });

  test("a key without a value stops the sync by the names of model and column", async () => {
    const at = shop({ model: queryModel("SELECT", { name: "scores", key: ["id"] }) });
    at.open(
      faulty([
        ["1", "a"],
        [null, "secret"],
      ]),
    );
    await expect(at.settled()).rejects.toThrow(
      "A row of model `scores` has no value in its key column `id`; it cannot be told apart from others.",
    );
  });

  test("a retry sends the row as it is now; an event as it was", async () => {
    for (const mode of ["mirror", "event"] as const) {
      const at = shop({ mode });
      at.open({ backfill: FIRST });
      await at.settled();
      at.stream({ kind: "user", id: "1", active: "no" });
      await expect.poll(() => at.pipeline.queue.entries).toBe(2);
      await at.pipeline.take(1);
      at.pipeline.reject(at.pipeline.taken.shift()!);
      await at.settled();
      at.stream({ kind: "noOrder", id: "1" });
      await at.settled();
      await at.pipeline.capture.retry([...at.pipeline.letters.values()], new AbortController().signal);
      expect(briefly(await at.settled())).toEqual(mode === "event" ? ["update 1/1"] : []);
      expect(at.pipeline.letters.size).toBe(0);
    }
  });
});
