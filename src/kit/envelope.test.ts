import { expect, test } from "vitest";
import * as fc from "fast-check";
import { delivery, shapeOf } from "../../test/support/deliveries.ts";
import { UNCHANGED } from "../contracts/values.ts";
import { EnvelopeWriter, rfc3339 } from "./envelope.ts";

const shape = shapeOf({ id: "bigint", name: "text", total: "numeric", data: "jsonb" });

test("writes one delivery, every digit as it was", () => {
  const row = delivery({
    shape,
    values: ["9007199254740993", 'a "b"\n', "12.50", '{"n": 1.10}'],
    position: "p-1",
    committedAt: 1_700_000_000_000_001n,
  });
  expect(new EnvelopeWriter("s").write(row)).toBe(
    '{"id":"test-p-1","type":"upsert","sync":"s","key":{"id":9007199254740993},"position":"p-1",' +
      '"committed_at":"2023-11-14T22:13:20.000001Z",' +
      '"record":{"id":9007199254740993,"name":"a \\"b\\"\\n","total":12.50,"data":{"n": 1.10}}}',
  );
});

test("an event says what happened and has the old row", () => {
  const writer = new EnvelopeWriter('s"');
  const event = delivery({
    shape,
    op: "event",
    change: "update",
    values: ["1", "new", null, UNCHANGED],
    old: ["1", "old", "NaN", null],
    position: "p",
    committedAt: null,
  });
  expect(writer.write(event)).toBe(
    '{"id":"test-p","type":"event","sync":"s\\"","op":"update","key":{"id":1},"position":"p","committed_at":null,' +
      '"record":{"id":1,"name":"new","total":null},"old":{"id":1,"name":"old","total":"NaN","data":null}}',
  );
  expect(writer.write({ ...event, old: null })).toContain('"old":null}');
});

test("a key of several columns, with names that need escaping", () => {
  const keyed = shapeOf({ 'a"': "text", __proto__x: "numeric", é: "boolean" });
  const row = delivery({ shape: keyed, values: ["x\ty", "Infinity", "true"], matchFields: ['a"', "__proto__x", "é"] });
  const parsed = JSON.parse(new EnvelopeWriter("s").write(row)) as { key: unknown };
  expect(parsed.key).toEqual({ 'a"': "x\ty", __proto__x: "Infinity", é: true });
});

test("is one line, even where a key is JSON on several", () => {
  const keyed = shapeOf({ doc: "json", list: "text[]" });
  const row = delivery({
    shape: keyed,
    values: ["{}", "[]"],
    key: ['{\n "a":\r\n 1}', '["x",\n"y"]'],
    matchFields: ["doc", "list"],
  });
  const text = new EnvelopeWriter("s").write(row);
  expect(text).not.toMatch(/[\r\n]/);
  expect((JSON.parse(text) as { key: unknown }).key).toEqual({ doc: { a: 1 }, list: ["x", "y"] });
});

test("times are the same whatever was written before", () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: -5_000_000n, max: 5_000_000n })), (all) => {
      const writer = new EnvelopeWriter("s");
      for (const committedAt of all) {
        const text = writer.write(delivery({ shape, values: ["1", null, null, null], committedAt }));
        expect(text).toContain(`"committed_at":"${rfc3339(committedAt)}"`);
      }
    }),
  );
});

test.each([
  [0n, "1970-01-01T00:00:00.000000Z"],
  [1n, "1970-01-01T00:00:00.000001Z"],
  [-1n, "1969-12-31T23:59:59.999999Z"],
  [-1_000_000n, "1969-12-31T23:59:59.000000Z"],
  [1_795_505_215_123_456n, "2026-11-24T07:26:55.123456Z"],
])("%d µs is %s", (micros, text) => {
  expect(rfc3339(micros)).toBe(text);
});

test("times keep every microsecond and their order", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -2_000_000_000_000_000n, max: 4_000_000_000_000_000n }), (micros) => {
      const text = rfc3339(micros);
      expect(text).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      expect(BigInt(Date.parse(`${text.slice(0, 19)}Z`)) * 1000n + BigInt(text.slice(20, 26))).toBe(micros);
      expect(rfc3339(micros + 1n) > text).toBe(true);
    }),
  );
});
