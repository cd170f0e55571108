import { expect, test } from "vitest";
import { relationWith, syncWith } from "../../../test/support/syncs.ts";
import type { Change } from "../../contracts/change.ts";
import { newEntry, readEntry } from "../capture/rows.ts";
import { compileMapping } from "../mapping/compile.ts";
import { toDelivery } from "./delivery.ts";
import type { Entry } from "./entry.ts";
import { merge } from "./merge.ts";

const relation = relationWith({ id: "bigint", plan: "text" });
const mapping = compileMapping(syncWith(), relation);
const item = { group: { tracker: {}, done() {}, alsoWaits() {}, suppose() {} }, index: 0 };

function changed(plan: string): Entry {
  const change: Change = {
    op: "update",
    relation,
    before: null,
    after: ["1", plan],
    position: "A",
    transaction: { id: "7", committedAt: 0n },
  };
  return Object.assign(newEntry(mapping, "upsert", change, null, ["1", plan], item.group, 0), { rowKey: "1" });
}

function read(plan: string): Entry {
  const row = { key: "1", recordKey: "1", values: ["1", plan], id: "s-read1-x", at: "B" };
  return readEntry(mapping, "upsert", row, item);
}

test("what is merged has the id and the position of the newest, a change or a row that was read", () => {
  const told = (older: Entry, newer: Entry) => {
    expect(merge(older, newer)).toBe(true);
    const { id, position, committedAt, record } = toDelivery("s", older);
    return { id, position, committedAt, record: record.json() };
  };
  expect(told(changed("old"), read("new"))).toEqual({
    id: "s-read1-x",
    position: "B",
    committedAt: null,
    record: '{"id":1,"plan":"new"}',
  });
  expect(told(read("old"), changed("new"))).toEqual({
    id: "s-A",
    position: "A",
    committedAt: 0n,
    record: '{"id":1,"plan":"new"}',
  });
});
