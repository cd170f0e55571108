import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GtidCollector } from "./gtid-collector.ts";
import { encodeGtidSet, extendedTo, formatGtidSet, hasGtid, parseGtidSet } from "./gtid-set.ts";
import { formatGtidState, parseGtidState, withGtid } from "./gtid-state.ts";
import { doneAt, formatIncarnation, fromGtids, parseIncarnation } from "./incarnation.ts";
import { type Place, parsePosition, positionAt, startOf } from "./position.ts";

const A = "6e6c21c2-e819-11f1-a8bf-02fc00000001";
const B = "6e6c21c2-0000-11f1-a8bf-02fc00000001";
const place = (more: Partial<Place>): Place => ({
  epoch: 1,
  file: 2,
  offset: 3,
  ordinal: 0,
  begun: 5,
  gtid: "",
  ...more,
});

describe("sets of MySQL", () => {
  test("as the server prints them", () => {
    const text = `${A}:1-5:7:9-11,${B}:3`;
    expect(formatGtidSet(parseGtidSet(`${A}:1-5:7:9-11,\n${B.toUpperCase()}:3`))).toBe(text);
    expect(formatGtidSet(parseGtidSet(`${A}:4-5:1-3:5-9`))).toBe(`${A}:1-9`);
    expect(formatGtidSet(parseGtidSet(""))).toBe("");
    expect(() => parseGtidSet(`${A}:tag:1`)).toThrow(/tagged/);
  });

  test("in the command that asks for the rest", () => {
    expect(encodeGtidSet(parseGtidSet(`${A}:1-5:7`)).toString("hex")).toBe(
      `0100000000000000${A.replaceAll("-", "")}0200000000000000` +
        "01000000000000000600000000000000" +
        "07000000000000000800000000000000",
    );
  });

  test("extended to a transaction: from the end of what came before it", () => {
    const set = parseGtidSet(`${A}:1-5:100-110`);
    const to = (number: bigint): string => formatGtidSet(extendedTo(set, { uuid: A, number }));
    expect(to(3n)).toBe(`${A}:1-5:100-110`);
    expect(to(8n)).toBe(`${A}:1-8:100-110`);
    expect(to(112n)).toBe(`${A}:1-5:100-112`);
    expect(to(0n)).toBe(`${A}:1-5:100-110`);
    expect(formatGtidSet(extendedTo(set, { uuid: B, number: 2n }))).toBe(`${A}:1-5:100-110,${B}:1-2`);
  });

  test("gathered one by one, a set has just what was added", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 60 })), (numbers) => {
        const collector = new GtidCollector();
        for (const number of numbers) collector.add(A, BigInt(number));
        const set = parseGtidSet(formatGtidSet(collector.set));
        for (let number = 1; number <= 60; number += 1)
          expect(hasGtid(set, { uuid: A, number: BigInt(number) })).toBe(numbers.includes(number));
      }),
    );
  });
});

describe("what is done at a place", () => {
  const mysql = { mariadb: false, set: parseGtidSet(`${A}:1-5`) } as const;
  const mariadb = { mariadb: true, state: parseGtidState("0-1-5,7-2-9") } as const;

  test("MySQL: up to the transaction; within one, up to the one before", () => {
    const at = (more: Partial<Place>, uuids: readonly string[] = []): string => {
      const done = doneAt(mysql, place(more), uuids);
      return done.mariadb ? "" : formatGtidSet(done.set);
    };
    expect(at({})).toBe(`${A}:1-5`);
    expect(at({ gtid: "6e6c21c2_8" })).toBe(`${A}:1-8`);
    expect(at({ gtid: "6e6c21c2_8", ordinal: 1 })).toBe(`${A}:1-7`);
    // Two servers of which the place might mean either, and one that the server has never heard of.
    expect(() => at({ gtid: "6e6c21c2_8" }, [B])).toThrow(/begin alike/);
    expect(() => at({ gtid: "00000000_8" })).toThrow(/history is another one/);
  });

  test("MariaDB: up to the transaction; within one, what was known before, and the rest is passed over", () => {
    const from = (more: Partial<Place>) => fromGtids(mariadb, place(more), 2, []);
    expect(formatGtidState(from({ gtid: "0_3_8" }).state!)).toBe("0-3-8,7-2-9");
    const within = from({ gtid: "0_3_8", ordinal: 4 });
    expect(formatGtidState(within.state!)).toBe("0-1-5,7-2-9");
    expect(within.doneOfDomain).toEqual({ domain: "0", before: 8n });
    expect(formatGtidState(withGtid(mariadb.state, { domain: "3", server: "1", number: 1n }))).toBe(
      "0-1-5,7-2-9,3-1-1",
    );
  });

  test("an incarnation is read as it was written; another source's is none", () => {
    for (const done of [mysql, mariadb]) {
      const incarnation = { server: "x", epoch: 3, done };
      expect(parseIncarnation(formatIncarnation(incarnation))).toEqual(incarnation);
    }
    for (const text of ["", "{}", '{"systemId":"7","tables":{}}'])
      expect(() => parseIncarnation(text)).toThrow(expect.objectContaining({ code: "source.gap.cluster" }) as Error);
  });
});

test("positions: string order is the order of the log, whatever else they carry", () => {
  const arbitrary = fc.record({
    epoch: fc.integer({ min: 1, max: 3 }),
    file: fc.integer({ min: 1, max: 3 }),
    offset: fc.constantFrom(4, 255, 256, 2 ** 32 + 5),
    ordinal: fc.constantFrom(0, 1, 2 ** 24, 2 ** 50),
    begun: fc.nat(2 ** 31),
    gtid: fc.constantFrom("", "0_1_9", "0_1_10", "6e6c21c2_3"),
  });
  const order = ({ epoch, file, offset, ordinal }: Place): readonly number[] => [epoch, file, offset, ordinal];
  const compare = (a: readonly number[], b: readonly number[]): number =>
    a.map((each, i) => each - b[i]!).find(Boolean) ?? 0;
  fc.assert(
    fc.property(arbitrary, arbitrary, (a, b) => {
      expect(parsePosition(positionAt(a))).toEqual(a);
      const difference = compare(order(a), order(b));
      if (difference !== 0) expect(positionAt(a) < positionAt(b)).toBe(difference < 0);
      expect(startOf(a.epoch, a.file, a.offset) < positionAt(a)).toBe(true);
      expect(positionAt(a)).toMatch(/^[0-9a-z_-]+$/);
    }),
  );
  expect(() => parsePosition("0000000001A2B3C4-00000001")).toThrow(/not made by this kind/);
});
