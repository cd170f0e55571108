// That the fake refuses what Databricks documents that it refuses. Texts: docs.databricks.com/en/error-messages/error-classes.
import { expect, test } from "vitest";
import { DeltaTable } from "./delta-table.ts";
import { tokensOf } from "./tokens.ts";
import { FakeWarehouse } from "./warehouse.ts";

const COLUMNS = [{ name: "id", type: "int" }];
const LEGACY = { "delta.enableChangeDataFeed": "true" };
const table = (properties: Readonly<Record<string, string>> = LEGACY) =>
  new DeltaTable({ columns: COLUMNS, properties });

test("table_changes: both ends inclusive; a start after the newest version is refused, an end is not", () => {
  const t = table();
  t.write({ insert: [["1"]] });
  t.write({ insert: [["2"]] });
  expect(t.changes(1, 2).versions.map(({ number }) => number)).toEqual([1, 2]);
  expect(t.changes(2, 9).versions.map(({ number }) => number)).toEqual([2]);
  expect(() => t.changes(3, 3)).toThrow("DELTA_CDC_START_VERSION_AFTER_LATEST");
  expect(() => t.changes(2, 1)).toThrow("DELTA_INVALID_CDC_RANGE");
});

test("a feed is not retroactive: one version that was not recorded spoils the range", () => {
  const t = table({});
  t.write({ insert: [["1"]] });
  t.setProperties(LEGACY);
  t.write({ insert: [["2"]] });
  expect(() => t.changes(1, 3)).toThrow("DELTA_MISSING_CHANGE_DATA");
  expect(t.changes(2, 3).versions).toHaveLength(2);
});

test("VACUUM takes the change files, log clean-up the versions", () => {
  const t = table();
  for (const id of ["1", "2", "3"]) t.write({ insert: [[id]] });
  t.vacuum(2);
  expect(() => t.changes(1, 3)).toThrow("DELTA_CHANGE_DATA_FILE_NOT_FOUND");
  expect(() => t.at(1)).toThrow("DELTA_MISSING_FILES_UNEXPECTED_VERSION");
  expect(t.changes(2, 3).versions).toHaveLength(2);
  t.cleanLog(3);
  expect(() => t.changes(2, 3)).toThrow("VERSION_NOT_FOUND");
  expect(() => t.at(9)).toThrow("VERSION_NOT_FOUND");
});

test("a change of columns that is not an addition cannot be read over", () => {
  for (const mapped of [true, false]) {
    const t = table(mapped ? { ...LEGACY, "delta.columnMapping.mode": "name" } : LEGACY);
    t.write({ insert: [["1"]] });
    t.alter("ADD COLUMNS", [...COLUMNS, { name: "b", type: "int" }], (row) => [...row, null]);
    expect(t.changes(1, 2).columns).toHaveLength(2);
    t.alter(
      "RENAME COLUMN",
      [
        { name: "key", type: "int" },
        { name: "b", type: "int" },
      ],
      (row) => row,
    );
    const condition = mapped
      ? "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_SCHEMA_CHANGE"
      : "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_DATA_SCHEMA";
    expect(() => t.changes(1, 3)).toThrow(condition);
    // With column mapping a range has the columns of its end.
    if (mapped) expect(t.changes(1, 2).columns[0]!.name).toBe("id");
    else expect(() => t.changes(1, 2)).toThrow(condition);
  }
});

test("an overwrite tells every row as deleted and inserted, a rewriting update as an update", () => {
  const t = table();
  t.write({ insert: [["1"]] });
  expect(
    t
      .overwrite([["1"]])
      .changes.map(({ type }) => type)
      .sort(),
  ).toEqual(["delete", "insert"]);
  expect(
    t
      .write({ update: [{ at: () => true, to: (row) => row }] })
      .changes.map(({ type }) => type)
      .sort(),
  ).toEqual(["update_postimage", "update_preimage"]);
});

test("statements: what is not there, not allowed or not SQL is refused by its condition", async () => {
  const warehouse = await FakeWarehouse.start();
  const t = warehouse.create("s.t", { columns: COLUMNS, properties: LEGACY });
  t.write({ insert: [["1"], [null]] });
  warehouse.create("s.v", { columns: COLUMNS, kind: "VIEW" });
  const run = (sql: string, parameters = {}) => warehouse.execute(sql, parameters);
  expect((await run("SELECT CAST(id AS STRING) AS a FROM `main`.`s`.`t` VERSION AS OF 1")).rows).toEqual([
    ["1"],
    [null],
  ]);
  expect((await run("SELECT id FROM s.t VERSION AS OF 0")).rows).toEqual([]);
  expect((await run("SELECT :p || '\\'\\\\' AS a", { p: "it's" })).rows).toEqual([["it's'\\"]]);
  expect((await run("DESCRIBE HISTORY s.t LIMIT 1")).rows[0]?.[0]).toBe("1");
  expect((await run("DESCRIBE QUERY SELECT * FROM table_changes('s.t', 0, 1)")).rows.map(([name]) => name)).toEqual([
    "id",
    "_change_type",
    "_commit_version",
    "_commit_timestamp",
  ]);
  const refused: readonly (readonly [string, string])[] = [
    ["SELECT 1 FROM s.none", "TABLE_OR_VIEW_NOT_FOUND"],
    ["SELECT nothing FROM s.t", "UNRESOLVED_COLUMN"],
    ["SELEKT 1", "PARSE_SYNTAX_ERROR"],
    ["INSERT INTO s.t VALUES (1)", "PARSE_SYNTAX_ERROR"],
    ["SELECT :missing", "UNBOUND_SQL_PARAMETER"],
    ["DESCRIBE HISTORY s.v", "EXPECT_TABLE_NOT_VIEW"],
    ["DESCRIBE DETAIL s.v", "EXPECT_TABLE_NOT_VIEW"],
  ];
  for (const [sql, condition] of refused) await expect(run(sql), sql).rejects.toThrow(condition);
  warehouse.forbidden.add("main.s.t");
  await expect(run("SELECT 1 FROM s.t")).rejects.toThrow("INSUFFICIENT_PERMISSIONS");
  warehouse.close();
  expect(() => tokensOf("SELECT ?")).toThrow("PARSE_SYNTAX_ERROR");
});
