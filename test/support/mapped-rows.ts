// A table with columns of many types, and rows of it, for tests of mappings.
import { UNCHANGED, type Value, type Values } from "../../src/contracts/values.ts";
import { relationWith } from "./syncs.ts";

export const relation = relationWith({
  id: "bigint",
  email: "text",
  plan: "text",
  ltv: "numeric",
  active: "boolean",
  settings: "jsonb",
  tags: "text[]",
});
export const ROW: Values = ["9007199254740993", "ann@x.org", 'the "pro"', "12.50", "true", '{"a": 1.0}', "{x,y}"];
export const NULLS: Values = ["1", null, null, null, null, null, null];
/** What a delete brings when the replica identity is the key. */
export const KEY_ONLY: Values = ["7", ...Array.from<Value>({ length: 6 }).fill(UNCHANGED)];
