import { expect, test } from "vitest";
import { comparedColumns } from "./full-reads.ts";

test("the columns that rows are asked for by, in conditions as EXPLAIN prints them", () => {
  expect(comparedColumns("(o.user_id = (k.k0)::bigint)", "o")).toEqual(["user_id"]);
  expect(comparedColumns("(u.id = o.user_id)", "o")).toEqual(["user_id"]);
  expect(comparedColumns("((u.id = o.user_id) AND ((o.state)::text = 'open'::text))", "o")).toEqual(["user_id"]);
  expect(comparedColumns("(o.n = 5) (o.kind = ANY ('{a,b}'::text[]))", "o")).toEqual([]);
  expect(comparedColumns("(o.kind = ANY (($1)::text[]))", "o")).toEqual(["kind"]);
  expect(
    comparedColumns('("odd Table"."the ""Key" = t.k0) ((t.k1)::text = ("odd Table".b)::text)', "odd Table"),
  ).toEqual(['the "Key', "b"]);
  expect(comparedColumns("(o.total > u.least)", "o")).toEqual([]);
});
