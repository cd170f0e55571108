// What the fake does and refuses as Materialize does, seen by a client.
import pg from "pg";
import { expect, test } from "vitest";
import { RAW_TEXT } from "../../../src/kit/postgres/client-config.ts";
import { FIELDS, startMaterialize } from "./harness.ts";

const TABLE = '"shop"."t"';
const SUBSCRIBE = `DECLARE c CURSOR FOR SUBSCRIBE ${TABLE} WITH (PROGRESS, SNAPSHOT = false)`;

async function stage() {
  const fake = await startMaterialize();
  const object = fake.timeline.create("shop.t", FIELDS);
  const client = new pg.Client({ ...fake.settings, types: RAW_TEXT });
  client.on("error", () => {});
  await client.connect();
  return {
    ...fake,
    object,
    client,
    [Symbol.asyncDispose]: async () => {
      await client.end();
      await fake[Symbol.asyncDispose]();
    },
  };
}

// https://materialize.com/docs/sql/declare
test("a cursor lives in a transaction", async () => {
  await using at = await stage();
  await expect(at.client.query(SUBSCRIBE)).rejects.toMatchObject({ code: "25P01" });
});

// https://materialize.com/docs/sql/subscribe: AS OF, SNAPSHOT, PROGRESS
test("nothing at or before AS OF comes, the first row is the AS OF, and what is before a progress row is complete", async () => {
  await using at = await stage();
  at.timeline.write(at.object, [{ diff: 1, row: ["1", "a", null, null] }]);
  const asOf = at.object.updates[0]!.at;
  at.timeline.write(at.object, [{ diff: 1, row: ["2", "b", null, null] }]);
  await at.client.query("BEGIN");
  await at.client.query(`${SUBSCRIBE} AS OF ${asOf}`);
  const { rows: first } = await at.client.query("FETCH 1 c");
  expect(first).toMatchObject([{ mz_timestamp: String(asOf), mz_progressed: "t", mz_diff: null }]);
  const { rows } = await at.client.query("FETCH 100 c");
  expect(rows[0]).toMatchObject({ mz_timestamp: String(asOf + 1n), mz_progressed: "f", mz_diff: "1", id: "2" });
  expect(rows[1]).toMatchObject({ mz_progressed: "t" });
  expect(BigInt(rows[1].mz_timestamp)).toBeGreaterThan(asOf + 1n);
});

// https://materialize.com/docs/transform-data/patterns/durable-subscriptions; the wording: src/environmentd/tests/sql.rs
test("an AS OF before the retained history is refused by FETCH", async () => {
  await using at = await stage();
  const asOf = at.timeline.read();
  at.timeline.compact(at.object);
  await at.client.query("BEGIN");
  await at.client.query(`${SUBSCRIBE} AS OF ${asOf}`);
  await expect(at.client.query("FETCH 1 c")).rejects.toThrow("is not valid for all inputs");
});

test("a dropped object ends its subscriptions", async () => {
  await using at = await stage();
  await at.client.query("BEGIN");
  await at.client.query(SUBSCRIBE);
  await at.client.query("FETCH 1 c");
  at.timeline.drop("shop.t");
  await expect(at.client.query("FETCH 100 c")).rejects.toThrow("dropped");
});

test("parameters are taken, and what is not known is a syntax error", async () => {
  await using at = await stage();
  const sql = "SELECT o.id, o.type FROM mz_catalog.mz_objects WHERE s.name = $1 AND o.name = $2";
  const { rows } = await at.client.query(sql, ["shop", "t"]);
  expect(rows).toEqual([{ id: at.object.id, type: "materialized-view" }]);
  await expect(at.client.query("SELECT 1 + 1")).rejects.toMatchObject({ code: "42601" });
  await expect(at.client.query("SELECT $1 + 1", ["1"])).rejects.toMatchObject({ code: "42601" });
});
