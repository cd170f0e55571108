import { afterAll, beforeAll, expect, test } from "vitest";
import { QueryLab } from "../../../../test/support/followed-query.ts";
import { queryModel } from "../../../../test/support/models.ts";
import { relationWith } from "../../../../test/support/syncs.ts";
import { PostgresLiveQuery } from "./live-query.ts";

const WORLD = {
  schema: "pairs",
  tables: [],
  views: "CREATE TABLE a (id int PRIMARY KEY, v int); CREATE TABLE b (id int PRIMARY KEY, v int);",
};

let lab: QueryLab;
beforeAll(async () => {
  lab = await QueryLab.start([WORLD]);
});
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
});

test("what the model has of a part of a key is no more than its snapshot sees, though the change itself tells the part", async () => {
  const model = queryModel("SELECT a.id AS a, b.id AS b FROM a JOIN b ON a.v > b.v", { key: ["a", "b"] });
  const { session, described, analysis } = await lab.analyse(WORLD, model);
  if (analysis.kind === "diff") throw new Error(JSON.stringify(analysis.reasons));
  const query = new PostgresLiveQuery(session, model, { described, analysis }, true);
  const table = analysis.tables.find(({ name }) => name === "a")!;
  const affected = await query.affected(
    [
      {
        op: "insert",
        relation: { ...relationWith({ id: "integer", v: "integer" }), id: table.id },
        before: null,
        after: ["1", "5"],
        position: "0",
        transaction: { id: "4294967000", committedAt: 0n },
      },
    ],
    new AbortController().signal,
  );
  expect(affected.partial).toEqual([{ places: [0], values: [["1"]] }]);
  expect(affected.sees("4294967000")).toBe(false);
});
