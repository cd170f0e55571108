import { expect, test } from "vitest";
import { relationWith, syncWith } from "../../../test/support/syncs.ts";
import { silent } from "../../../test/support/webhook.ts";
import type { SnapshotChunk, Source } from "../../contracts/source.ts";
import type { Sync } from "../../contracts/sync.ts";
import type { Values } from "../../contracts/values.ts";
import { Entry } from "../delivery/entry.ts";
import { Mappings } from "./mappings.ts";
import { thereAgain } from "./there-again.ts";

const relation = relationWith({ id: "bigint", plan: "text" });
const nowhere = { tracker: {}, done() {}, alsoWaits() {}, suppose() {} };

/** Removals by [row's key, record's key], of which the source's snapshots see only some deletes. */
async function ask(
  sync: Sync,
  removals: readonly (readonly [row: string, record: string])[],
  snapshots: readonly { readonly rows: readonly Values[]; readonly sees: (transaction: string) => boolean }[],
): Promise<{ readonly again: readonly string[]; readonly asked: readonly string[][] }> {
  const mappings = new Mappings(sync, silent);
  const mapping = mappings.for(relation);
  const entries = removals.map(([row, record]) => {
    const entry = new Entry("delete", mapping, nowhere, 0, false);
    entry.before = [row, record];
    entry.rowKey = row;
    entry.key = record;
    entry.transaction = { id: `x${row}`, committedAt: 1n };
    return entry;
  });
  const asked: string[][] = [];
  const lookup: Source["lookup"] = async (_, keys) => {
    const { rows, sees } = snapshots[asked.length]!;
    asked.push(keys.map(([key]) => key!));
    return { relation, rows, next: null, high: "1", sees } satisfies SnapshotChunk;
  };
  const source: Pick<Source, "lookup"> = { lookup };
  const again = await thereAgain(source as Source, sync, mappings, entries, new AbortController().signal);
  return { again: again.map(({ rowKey }) => rowKey), asked };
}

const all = (): boolean => true;

test("rows that are there have been inserted again; those that are not, or are outside of `where`, have not", async () => {
  const sync = syncWith({ where: { text: "plan != 'none'", at: "tailrace.yml:1:1" } });
  const rows = [
    ["1", "gold"],
    ["3", "none"],
  ];
  const { again } = await ask(sync, [ofKey("1"), ofKey("2"), ofKey("3")], [{ rows, sees: all }]);
  expect(again).toEqual(["1"]);
});

test("a snapshot that does not see the delete shows the row that was deleted, and is not believed", async () => {
  const { again, asked } = await ask(
    syncWith(),
    [ofKey("1"), ofKey("2")],
    [
      {
        rows: [
          ["1", "again"],
          ["2", "deleted"],
        ],
        sees: (transaction) => transaction === "x1",
      },
      { rows: [], sees: all },
    ],
  );
  expect(asked).toEqual([["1", "2"], ["2"]]);
  expect(again).toEqual(["1"]);
});

test("a row that is there as another record is not the one that was removed", async () => {
  const sync = syncWith({ match: "plan" });
  const removals = [
    ["1", '["a"]'],
    ["2", '["b"]'],
  ] as const;
  const rows = [
    ["1", "a"],
    ["2", "c"],
  ];
  expect((await ask(sync, removals, [{ rows, sees: all }])).again).toEqual(["1"]);
});

function ofKey(key: string): readonly [string, string] {
  return [key, key];
}
