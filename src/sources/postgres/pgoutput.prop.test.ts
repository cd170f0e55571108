import fc from "fast-check";
import { expect, test } from "vitest";
import * as encode from "../../../test/support/pgoutput-encoder.ts";
import type { Change } from "../../contracts/change.ts";
import type { Relation } from "../../contracts/relation.ts";
import { UNCHANGED } from "../../contracts/values.ts";
import { PgOutputDecoder } from "./pgoutput.ts";
import { parsePosition, positionAt } from "./position.ts";
import { Framer } from "./wire.ts";

const COLUMNS = ["a", "b", "c"].map((name, i) => ({ name, typeOid: 25, identity: i === 0 }));
const RELATION: Relation = {
  id: "1",
  namespace: "public",
  name: "t",
  version: 1,
  columns: COLUMNS.map(({ name }) => ({ name, type: "text", json: "string", comparison: "text", nullable: true })),
  key: [0],
  oldRows: "key",
};

// Lengths around the places where a length's byte looks like the start of a character.
const value = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 12 }).filter((text) => text.isWellFormed() && !text.includes("\0")),
  fc.integer({ min: 120, max: 300 }).map((length) => "x".repeat(length)),
  fc.constantFrom("", "é".repeat(97), "\u{1f600}", "￿", "a".repeat(195)),
);
const cell = fc.oneof({ weight: 6, arbitrary: value }, { weight: 1, arbitrary: fc.constant(null) });
const row = fc.tuple(value, cell, fc.oneof(cell, fc.constant<encode.Cell>(encode.UNSENT)));
const change = fc.oneof(
  fc.record({ op: fc.constant("insert" as const), row }),
  fc.record({ op: fc.constant("update" as const), row, old: fc.option(value) }),
  fc.record({ op: fc.constant("delete" as const), row }),
);
const transactions = fc.array(
  fc.record({ changes: fc.array(change, { maxLength: 6 }), gap: fc.constantFrom(0n, 1n, 40n) }),
  { maxLength: 8 },
);
type Transactions = typeof transactions extends fc.Arbitrary<infer T> ? T : never;

/** The stream's bytes, and the rows it should give: [position, op, before, after]. */
function build(list: Transactions): { bytes: Buffer; expected: unknown[]; end: string } {
  const parts = [encode.data(encode.relation(1, "t", COLUMNS))];
  const expected: unknown[] = [];
  const shown = (cells: readonly encode.Cell[]) => cells.map((one) => (one === encode.UNSENT ? UNCHANGED : one));
  let lsn = 100n;
  for (const { changes, gap } of list) {
    lsn += gap;
    parts.push(encode.data(encode.begin(lsn, 7)));
    changes.forEach((one, i) => {
      const at = positionAt(lsn, i + 1);
      const key = [one.row[0], null, null];
      if (one.op === "insert") {
        parts.push(encode.data(encode.insert(1, one.row)));
        expected.push([at, "insert", null, shown(one.row)]);
      } else if (one.op === "delete") {
        parts.push(encode.data(encode.remove(1, "K", key)));
        expected.push([at, "delete", [one.row[0], UNCHANGED, UNCHANGED], null]);
      } else {
        parts.push(
          encode.data(encode.update(1, one.old === null ? null : { mark: "K", row: [one.old, null, null] }, one.row)),
        );
        expected.push([at, "update", one.old === null ? null : [one.old, UNCHANGED, UNCHANGED], shown(one.row)]);
      }
    });
    parts.push(encode.data(encode.commit(lsn, lsn + 40n)));
    lsn += 40n;
  }
  return { bytes: Buffer.concat(parts), expected, end: list.length > 0 ? positionAt(lsn) : positionAt(0n) };
}

function read(
  bytes: Buffer,
  cuts: readonly number[],
  after = positionAt(0n),
): { changes: readonly Change[]; ends: string[] } {
  const framer = new Framer();
  const decoder = new PgOutputDecoder(after, { keepalive: () => {}, control: () => {} });
  const changes: Change[] = [];
  const ends: string[] = [];
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  for (const [i, from] of [0, ...places].entries()) {
    const whole = framer.push(bytes.subarray(from, places[i] ?? bytes.length));
    if (!whole) continue;
    let at = decoder.decode(whole, 0);
    while (decoder.needed) {
      decoder.provide({ relation: RELATION, normalise: [null, null, null], inOldKey: [true, false, false] });
      at = decoder.decode(whole, at);
    }
    changes.push(...decoder.take());
    ends.push(decoder.end);
    for (const change of changes) expect(change.position <= decoder.end).toBe(true);
  }
  expect(framer.pendingBytes).toBe(0);
  return { changes, ends };
}

const plain = (changes: readonly Change[]) => changes.map((one) => [one.position, one.op, one.before, one.after]);

test("any stream, cut anywhere, gives the rows that were written, with rising positions", () => {
  fc.assert(
    fc.property(transactions, fc.array(fc.nat(), { maxLength: 30 }), (list, cuts) => {
      const { bytes, expected, end } = build(list);
      const { changes, ends } = read(bytes, cuts);
      expect(plain(changes)).toEqual(expected);
      const positions = changes.map((one) => one.position);
      expect(positions).toEqual([...new Set(positions)].sort());
      expect(ends).toEqual([...ends].sort());
      expect(ends.at(-1)).toBe(end);
    }),
  );
});

test("reading again after any position gives exactly what comes after it", () => {
  fc.assert(
    fc.property(transactions, fc.array(fc.nat(), { maxLength: 10 }), fc.nat(), (list, cuts, pick) => {
      const { bytes, expected } = build(list);
      const first = read(bytes, cuts);
      const places = [...first.changes.map((one) => one.position), ...first.ends];
      fc.pre(places.length > 0);
      const after = places[pick % places.length]!;
      const rest = plain(read(bytes, [], after).changes);
      expect(rest).toEqual(expected.filter((one) => (one as [string])[0] > after));
    }),
  );
});

test("string order of positions is order of (LSN, ordinal)", () => {
  const place = fc.tuple(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.integer({ min: 0, max: 0xffff_ffff }));
  fc.assert(
    fc.property(place, place, (a, b) => {
      const [left, right] = [positionAt(...a), positionAt(...b)];
      const order = a[0] === b[0] ? Math.sign(a[1] - b[1]) : a[0] < b[0] ? -1 : 1;
      expect(left < right ? -1 : left > right ? 1 : 0).toBe(order);
      expect(parsePosition(left)).toEqual({ lsn: a[0], ordinal: a[1] });
    }),
  );
});

test("a message of 50 MB in small chunks is copied once", () => {
  const big = encode.data(Buffer.alloc(50_000_000, 0x61));
  const framer = new Framer();
  let whole: Buffer | null = null;
  let pushes = 0;
  for (let at = 0; at < big.length; at += 16_384) {
    expect(whole).toBeNull();
    whole = framer.push(big.subarray(at, at + 16_384));
    pushes += 1;
  }
  expect(pushes).toBeGreaterThan(3000);
  expect(whole!.length).toBe(big.length);
  expect(framer.pendingBytes).toBe(0);
});
