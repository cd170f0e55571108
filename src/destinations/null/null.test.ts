import { expect, test } from "vitest";
import { delivery } from "../../../test/support/deliveries.ts";
import { people } from "../../../test/support/webhook.ts";
import nullConnector, { NullDestination } from "./index.ts";

const signal = new AbortController().signal;
const batch = ["1", "2", "3"].map((id) => delivery({ shape: people, values: [id, "a", null, "true"] }));

test("takes every row, counts it, and has written its JSON", async () => {
  const destination = new NullDestination(nullConnector.settings.parse({}));
  const writer = await destination.open();
  expect(await writer.write(batch, signal)).toEqual(batch.map(() => ({ status: "delivered" })));
  await writer.write(batch, signal);
  expect(destination.rows).toBe(6);
  expect(destination.encodedLength).toBe(2 * batch.reduce((sum, { record }) => sum + record.json().length, 0));
});

test("encodes nothing where that is not wanted", async () => {
  const destination = new NullDestination(nullConnector.settings.parse({ encode: false }));
  const throwing = batch.map((one) => ({
    ...one,
    record: {
      ...one.record,
      json: () => {
        throw new Error("encoded");
      },
    },
  }));
  await (await destination.open()).write(throwing, signal);
  expect([destination.rows, destination.encodedLength]).toEqual([3, 0]);
});
