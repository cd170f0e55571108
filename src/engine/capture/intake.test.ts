import { describe, expect, test } from "vitest";
import { mapOf, relationWith, syncWith } from "../../../test/support/syncs.ts";
import type { Log } from "../../contracts/log.ts";
import type { Change } from "../../contracts/change.ts";
import type { Sync } from "../../contracts/sync.ts";
import type { Relation } from "../../contracts/relation.ts";
import { UNCHANGED, type Value } from "../../contracts/values.ts";
import { toDelivery } from "../delivery/delivery.ts";
import { KeyedQueue } from "../delivery/keyed-queue.ts";
import { AckTracker } from "../progress/ack-tracker.ts";
import { Intake } from "./intake.ts";
import { Mappings } from "./mappings.ts";
import { Seam } from "./seam.ts";

const columns = { id: "bigint", email: "text", plan: "text" };

type Row = readonly [id: Value, email: Value, plan: Value];

/** What a sync queues for these changes: `OP KEY JSON`, in the order in which it may leave. */
function intakeOf(
  overrides: Partial<Sync>,
  options: { oldRows?: "key" | "full"; partialUpdates?: boolean; after?: string } = {},
) {
  const relation = relationWith(columns, { oldRows: options.oldRows ?? "full" });
  const sync = syncWith(overrides);
  const queue = new KeyedQueue({ merges: sync.mode !== "event" && sync.mode !== "insert" });
  const tracker = new AckTracker("");
  const seam = new Seam();
  const warned: string[] = [];
  const log: Log = {
    debug: () => {},
    info: () => {},
    warn: (message, fields) => warned.push(`${message} ${String(fields?.["columns"])}`),
    error: () => {},
    child: () => log,
  };
  const intake = new Intake({
    sync,
    mappings: new Mappings(sync, log),
    relation,
    queue,
    tracker,
    seam,
    partialUpdates: options.partialUpdates ?? false,
    after: options.after ?? "",
  });
  let ordinal = 0;
  const change = (op: Change["op"], before: Row | null, after: Row | null, of: Relation = relation): Change => {
    ordinal += 1;
    return { op, relation: of, before, after, position: `p-${ordinal}`, transaction: { id: "7", committedAt: 0n } };
  };
  const accept = (...changes: Change[]): void => intake.accept({ changes, end: `p-${ordinal}-end`, bytes: 0 });
  const drain = (): string[] => {
    const lines: string[] = [];
    for (let taken = queue.take(10, 1e9); taken.length > 0; taken = queue.take(10, 1e9)) {
      for (const entry of taken) {
        const fill = entry.fill ? " fill" : "";
        if (entry.op === "barrier") lines.push(`barrier ${entry.key}`);
        else {
          const { op, key, record } = toDelivery("s", entry);
          lines.push(`${op} ${key.join()} ${record.json()}${fill}`);
        }
      }
      for (const entry of taken) queue.finish(entry);
    }
    return lines;
  };
  return { relation, change, accept, drain, tracker, seam, warned };
}

const ann: Row = ["1", "ann@x", "free"];
const annPro: Row = ["1", "ann@x", "pro"];
const json = ([id, email, plan]: readonly string[]): string => `{"id":${id},"email":"${email}","plan":"${plan}"}`;

describe("modes", () => {
  const cases: readonly [mode: Sync["mode"], inserted: string[], updated: string[], deleted: string[]][] = [
    ["upsert", [`upsert 1 ${json(["1", "ann@x", "free"])}`], [`upsert 1 ${json(["1", "ann@x", "pro"])}`], []],
    [
      "mirror",
      [`upsert 1 ${json(["1", "ann@x", "free"])}`],
      [`upsert 1 ${json(["1", "ann@x", "pro"])}`],
      [`delete 1 ${json(["1", "ann@x", "pro"])}`],
    ],
    ["insert", [`create 1 ${json(["1", "ann@x", "free"])}`], [], []],
    ["update", [], [`update 1 ${json(["1", "ann@x", "pro"])}`], []],
    [
      "event",
      [`event 1 ${json(["1", "ann@x", "free"])}`],
      [`event 1 ${json(["1", "ann@x", "pro"])}`],
      [`event 1 ${json(["1", "ann@x", "pro"])}`],
    ],
  ];
  test.each(cases)("%s", (mode, inserted, updated, deleted) => {
    const { change, accept, drain, tracker } = intakeOf({ mode });
    accept(change("insert", null, ann));
    expect(drain()).toEqual(inserted);
    accept(change("update", ann, annPro));
    expect(drain()).toEqual(updated);
    accept(change("delete", annPro, null));
    expect(drain()).toEqual(deleted);
    expect(tracker.idle).toBe(true);
    expect(tracker.reached).toBe("p-3-end");
  });

  test("what a mirror does with a row that is gone is the sync's choice", () => {
    const gone = (onDelete: Sync["onDelete"]): string[] => {
      const { change, accept, drain } = intakeOf({ mode: "mirror", onDelete });
      accept(change("delete", ann, null));
      return drain();
    };
    expect(gone({ kind: "ignore" })).toEqual([]);
    expect(gone({ kind: "archive", fields: { archived: true } })).toEqual(['archive 1 {"id":1,"archived":true}']);
    expect(gone({ kind: "clear" })).toEqual(['clear 1 {"id":1,"email":null,"plan":null}']);
  });

  test("an event sync tells only what it is asked to", () => {
    const { change, accept, drain } = intakeOf({ mode: "event", on: ["delete"] });
    accept(change("insert", null, ann), change("update", ann, annPro), change("delete", annPro, null));
    expect(drain()).toHaveLength(1);
  });
});

describe("where", () => {
  const where = { text: "plan = 'pro'", at: "tailrace.yml:1:1" };

  test("a row that enters counts as inserted, one that leaves as deleted", () => {
    const { change, accept, drain } = intakeOf({ mode: "event", where });
    accept(change("insert", null, ann));
    expect(drain()).toEqual([]);
    accept(change("update", ann, annPro));
    expect(drain()).toEqual([`event 1 ${json(["1", "ann@x", "pro"])}`]);
    accept(change("update", annPro, ann));
    accept(change("delete", ann, null));
    expect(drain()).toHaveLength(1);
  });

  test("in a mirror, a row that leaves is removed", () => {
    const { change, accept, drain } = intakeOf({ mode: "mirror", where });
    accept(change("update", annPro, ann));
    expect(drain()).toEqual([`delete 1 ${json(["1", "ann@x", "pro"])}`]);
    accept(change("update", ann, ["1", "new@x", "free"]));
    expect(drain()).toEqual([]);
  });

  test("without old values, a row that may have left is removed rather than kept", () => {
    const { change, accept, drain } = intakeOf({ mode: "mirror", where }, { oldRows: "key" });
    accept(change("update", null, ann));
    expect(drain()).toEqual([`delete 1 ${json(["1", "ann@x", "free"])}`]);
  });

  test("a row of which it cannot be told is read first", () => {
    const { change, accept, drain } = intakeOf({ mode: "mirror", where }, { oldRows: "key", partialUpdates: true });
    accept(change("update", null, ["1", "ann@x", UNCHANGED]));
    expect(drain()).toEqual(['upsert 1 {"id":1,"email":"ann@x"} fill']);
  });
});

describe("a new key", () => {
  test("removes the old record before the new one is sent, behind everything of the old key", () => {
    const { change, accept, drain, tracker } = intakeOf({ mode: "mirror" });
    accept(change("update", ann, annPro), change("update", annPro, ["9", "ann@x", "pro"]));
    // The waiting upsert and the removal are one delivery by now.
    expect(drain()).toEqual([`delete 1 ${json(["1", "ann@x", "pro"])}`, `upsert 9 ${json(["9", "ann@x", "pro"])}`]);
    expect(tracker.idle).toBe(true);
  });

  test("removes nothing when the destination knows the record by something else that stayed", () => {
    const { change, accept, drain } = intakeOf({ mode: "mirror", match: "email" });
    accept(change("update", ann, ["9", "ann@x", "free"]));
    // Both are about one record: that is what keeps them in order.
    expect(drain()).toEqual([`upsert 9 ${json(["9", "ann@x", "free"])}`]);
  });

  test("is ordered behind the old one also in modes that remove nothing", () => {
    const { change, accept, drain } = intakeOf({ mode: "upsert" });
    accept(change("update", ann, annPro), change("update", annPro, ["9", "ann@x", "pro"]));
    expect(drain()).toEqual([
      `upsert 1 ${json(["1", "ann@x", "pro"])}`,
      "barrier 1",
      `upsert 9 ${json(["9", "ann@x", "pro"])}`,
    ]);
  });

  test("needs the whole row, even where the destination takes parts", () => {
    const { change, accept, drain } = intakeOf({ mode: "mirror" }, { oldRows: "key", partialUpdates: true });
    accept(change("update", ["1", UNCHANGED, UNCHANGED], ["9", "ann@x", UNCHANGED]));
    expect(drain()).toEqual(['delete 1 {"id":1}', 'upsert 9 {"id":9,"email":"ann@x"} fill']);
  });
});

describe("beside rows that were read", () => {
  const moved: Row = ["9", "ann@x", "free"];
  const other: Row = ["1", "bob@x", "free"];
  /** One transaction gives row 1 the key 9, and makes another row 1; a chunk that has these keys was sent before it comes. */
  const send = (mode: Sync["mode"], keys: readonly string[], sees: boolean): string[] => {
    const { relation, change, accept, drain, seam } = intakeOf({ mode });
    seam.begin();
    seam.admit({ relation, rows: [], next: null, high: "q", sees: () => sees }, keys);
    accept(change("update", ann, moved), change("insert", null, other));
    return drain();
  };

  test("a key that another row has by now is not removed", () => {
    expect(send("mirror", ["1", "9"], true)).toEqual([]);
    expect(send("mirror", ["1"], true)).toEqual([`upsert 9 ${json(["9", "ann@x", "free"])}`]);
    expect(send("upsert", ["1", "9"], true)).toEqual([]);
  });

  test("a match value that went from one row to another: nothing is left out, so that no removal is the last word", () => {
    const { relation, change, accept, drain, seam } = intakeOf({ mode: "mirror", match: "email" });
    seam.begin();
    seam.admit({ relation, rows: [], next: null, high: "q", sees: () => true }, ["1", "2"]);
    accept(
      change("update", ["1", "a@x", "free"], ["1", "b@x", "free"]),
      change("update", ["2", "c@x", "free"], ["2", "a@x", "free"]),
    );
    const lines = drain();
    const aboutA = lines.filter((line) => line.includes("a@x"));
    expect(aboutA.at(-1)).toBe(`upsert 2 ${json(["2", "a@x", "free"])}`);
    expect(lines).toContain(`upsert 1 ${json(["1", "b@x", "free"])}`);
  });

  test("a key that no row of the chunk has is removed", () => {
    const row1 = `upsert 1 ${json(["1", "bob@x", "free"])}`;
    expect(send("mirror", ["9"], true)).toEqual([`delete 1 ${json(["1", "ann@x", "free"])}`, row1]);
    // The chunk is older than the transaction: the whole of it is told.
    expect(send("mirror", ["1", "9"], false)).toContain(row1);
    expect(send("mirror", ["1", "9"], false)).toHaveLength(3);
  });
});

test("a match value that goes from one row to another is taken away before it is given", () => {
  const { change, accept, drain } = intakeOf({ mode: "mirror", match: "email" });
  accept(
    change("update", ["1", "a@x", "free"], ["1", "b@x", "free"]),
    change("update", ["2", "c@x", "free"], ["2", "a@x", "free"]),
  );
  const lines = drain();
  const place = (line: string): number => lines.indexOf(line);
  expect(lines).toHaveLength(4);
  expect(place(`delete 1 ${json(["1", "a@x", "free"])}`)).toBeLessThan(place(`upsert 2 ${json(["2", "a@x", "free"])}`));
  expect(place(`delete 2 ${json(["2", "c@x", "free"])}`)).toBeLessThan(place(`upsert 2 ${json(["2", "a@x", "free"])}`));
});

test("a new match value removes the record that the old one names", () => {
  const { change, accept, drain } = intakeOf({ mode: "mirror", match: "email" });
  accept(change("update", ann, ["1", "new@x", "free"]));
  expect(drain()).toEqual([`delete 1 ${json(["1", "ann@x", "free"])}`, `upsert 1 ${json(["1", "new@x", "free"])}`]);
});

describe("a value that was not sent", () => {
  const partial: Row = ["1", UNCHANGED, "pro"];
  const send = (unchanged: Sync["unchanged"], partialUpdates: boolean): string[] => {
    const { change, accept, drain } = intakeOf({ mode: "upsert", unchanged }, { oldRows: "key", partialUpdates });
    accept(change("update", null, partial));
    return drain();
  };

  test("is left out where the destination keeps what is left out, and else read", () => {
    expect(send("auto", true)).toEqual(['upsert 1 {"id":1,"plan":"pro"}']);
    expect(send("auto", false)).toEqual(['upsert 1 {"id":1,"plan":"pro"} fill']);
    expect(send("fetch", true)).toEqual(['upsert 1 {"id":1,"plan":"pro"} fill']);
    expect(send("omit", false)).toEqual(['upsert 1 {"id":1,"plan":"pro"}']);
  });

  test("does not hide one that was and still waits", () => {
    const { change, accept, drain } = intakeOf({ mode: "upsert" }, { oldRows: "key" });
    accept(change("insert", null, ann), change("update", null, partial));
    expect(drain()).toEqual([`upsert 1 ${json(["1", "ann@x", "pro"])}`]);
  });

  test("does not matter when the sync does not read it", () => {
    const { change, accept, drain } = intakeOf(
      { mode: "upsert", map: mapOf({ id: "id", plan: "plan" }) },
      { oldRows: "key" },
    );
    accept(change("update", null, partial));
    expect(drain()).toEqual(['upsert 1 {"id":1,"plan":"pro"}']);
  });
});

describe("truncate", () => {
  test("stops the sync by a named error", () => {
    const { change, accept } = intakeOf({ mode: "mirror" });
    expect(() => accept(change("truncate", null, null))).toThrow(
      expect.objectContaining({ code: "source.gap.truncate" }),
    );
  });

  test("is passed over where the sync says so", () => {
    const { change, accept, tracker } = intakeOf({ mode: "mirror", onTruncate: "ignore" });
    accept(change("truncate", null, null));
    expect(tracker.reached).toBe("p-1-end");
  });
});

test("changes at or before the checkpoint, in the middle of a batch, are not queued again", () => {
  const { change, accept, drain } = intakeOf({ mode: "event" }, { after: "p-2" });
  accept(
    change("insert", null, ["1", "a", "x"]),
    change("insert", null, ["2", "b", "x"]),
    change("insert", null, ["3", "c", "x"]),
  );
  expect(drain()).toEqual([`event 3 ${json(["3", "c", "x"])}`]);
});

test("other tables' changes move the position on, and nothing else", () => {
  const { change, accept, drain, tracker } = intakeOf({ mode: "mirror" });
  const other = relationWith(columns, { id: "999", name: "other" });
  accept(change("insert", null, ann, other));
  expect(drain()).toEqual([]);
  expect(tracker.reached).toBe("p-1-end");
});

test("that rows which exist lack a new column is said once, where every column is sent and rows are states", () => {
  const wider = relationWith({ ...columns, extra: "text" }, { version: 2, oldRows: "full" });
  const added = (overrides: Partial<Sync>): string[] => {
    const { change, accept, warned, relation } = intakeOf(overrides);
    const row = (of: Relation): Change => ({ ...change("insert", null, null, of), after: ["2", "b", "c", "d"] });
    accept(row(relation), row(wider), row(wider), row(relation));
    return warned;
  };
  expect(added({ mode: "mirror", name: "people" })).toEqual([
    expect.stringMatching(/`tailrace resync people` .* extra$/),
  ]);
  expect(added({ mode: "event" })).toEqual([]);
  expect(added({ mode: "mirror", map: mapOf({ id: "id", plan: "plan" }) })).toEqual([]);
});

test("a column that is new in mid-stream is mapped from the row that has it on; one that is gone stops the sync", () => {
  const { change, accept, drain } = intakeOf({ mode: "upsert" });
  const wider = relationWith({ ...columns, extra: "text" }, { version: 2, oldRows: "full" });
  accept(change("insert", null, ann), {
    ...change("insert", null, null, wider),
    after: ["2", "bob@x", "free", "more"],
  });
  expect(drain()).toEqual([
    `upsert 1 ${json(["1", "ann@x", "free"])}`,
    'upsert 2 {"id":2,"email":"bob@x","plan":"free","extra":"more"}',
  ]);
  const mapped = intakeOf({ mode: "upsert", map: mapOf({ id: "id", plan: "plan" }) });
  const narrower = relationWith({ id: "bigint", email: "text" }, { version: 2 });
  expect(() => mapped.accept({ ...mapped.change("insert", null, null, narrower), after: ["2", "bob@x"] })).toThrow(
    expect.objectContaining({ code: "source.model" }),
  );
});
