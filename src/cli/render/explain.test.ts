import { expect, test } from "vitest";
import type { Explanation } from "../../app/explain.ts";
import { renderExplanation } from "./explain.ts";

const EXPLANATION: Explanation = {
  sync: "golden",
  at: "tailrace.yml:9:3",
  model: "golden_users",
  source: "shop",
  destination: "crm",
  object: null,
  capture: {
    kind: "live query",
    why: "Changes of public.users and public.orders say which rows they affect.",
    latency: "Some 20 ms.",
    cost: "Two queries a round.",
    statements: [
      "-- which rows a change of public.users affects\nSELECT …\n-- Index Scan using users_pkey",
      "SELECT 2",
    ],
  },
  dbt: null,
  key: ["id"],
  mode: "mirror",
  behaviour: ["A row that is gone is deleted at the destination."],
  match: ["id"],
  where: null,
  fields: [{ field: "id", from: "id", type: "bigint", match: true }],
  oldColumns: [],
  oldRows: "key",
};
const plain = (_: unknown, text: string): string => text;

test("the statements and plans of a query stand below each other, indented", () => {
  const text = renderExplanation(EXPLANATION, plain);
  expect(text).toContain("capture   live query");
  const lines = text.split("\n");
  const first = lines.findIndex((line) => line.includes("-- which rows"));
  const indent = lines[first]!.indexOf("--");
  expect(lines.slice(first, first + 4).map((line) => line.slice(indent))).toEqual([
    "-- which rows a change of public.users affects",
    "SELECT …",
    "-- Index Scan using users_pkey",
    "SELECT 2",
  ]);
  expect(text).not.toContain("dbt");
});

test("what dbt says of the model is told", () => {
  const text = renderExplanation(
    {
      ...EXPLANATION,
      dbt: {
        id: "model.shop.golden_users",
        materialized: "view",
        because: "It is a query over tables that stay.",
        description: "Every user with what they have paid.",
        columns: [
          { name: "id", type: "bigint", description: "The user." },
          { name: "email", type: null, description: "" },
        ],
      },
    },
    plain,
  );
  expect(text).toContain("dbt       model.shop.golden_users, view. It is a query over tables that stay.");
  expect(text).toMatch(/Every user with what they have paid\.\n\s+id bigint – The user\./);
  expect(text).not.toMatch(/^\s+email$/m);
});
