import { expect, test } from "vitest";
import { KEY_ONLY, NULLS, relation, ROW } from "../../../test/support/mapped-rows.ts";
import { mapOf, syncWith, thrownBy, type MapEntry } from "../../../test/support/syncs.ts";
import type { TailraceError } from "../../contracts/errors.ts";
import type { RowCode, Sync } from "../../contracts/sync.ts";
import { compileMapping, type Mapping } from "./compile.ts";

function compile(map: Readonly<Record<string, MapEntry>> | null, overrides: Partial<Sync> = {}): Mapping {
  return compileMapping(syncWith({ map: map === null ? null : mapOf(map), mode: "event", ...overrides }), relation);
}

test("a function is given texts by name, of the columns that it reads, and gives a text or null", () => {
  const code = (columns: readonly string[] | null, run: RowCode["run"]) =>
    ({ code: { columns, run, text: "" } }) as const;
  const mapping = compile({
    id: "id",
    all: code(null, (row) => JSON.stringify(row)),
    ltv: { ...code(["ltv", "plan"], ({ ltv, plan }) => (plan === null ? null : `${ltv}0`)), as: "number" },
  });
  expect(mapping.record(ROW, null).json()).toBe(
    String.raw`{"id":9007199254740993,"all":"{\"id\":\"9007199254740993\",\"email\":\"ann@x.org\",\"plan\":\"the \\\"pro\\\"\",\"ltv\":\"12.50\",\"active\":\"true\",\"settings\":\"{\\\"a\\\": 1.0}\",\"tags\":\"{x,y}\"}","ltv":12.500}`,
  );
  // What was not sent makes no other value.
  expect(mapping.record(KEY_ONLY, null).json()).toBe(`{"id":7}`);
  expect(mapping.incomplete(KEY_ONLY)).toBe(true);
  expect(compile({ x: code(["ltv", "plan"], () => "") }).reads).toEqual([2, 3]);
  expect(() => compile({ x: code(["lvt"], () => "") })).toThrow(`no column "lvt" (did you mean "ltv"?)`);
});

test.each([
  ["a number", () => 1, "the function gave a value of type number; it must give a text or null"],
  ["a promise", () => Promise.resolve("secret"), "the function gave a promise; it must give a text or null"],
  ["nothing", () => undefined, "the function gave nothing; it must give a text or null"],
  [
    "an error",
    () => {
      throw new Error("ann@x.org");
    },
    "the function failed",
  ],
])(
  "a function that gives %s makes the row a failure, and a where stops the sync; no value is told",
  (_, run, message) => {
    const code = { columns: ["email"], run, text: "" };
    const failure = thrownBy(() => compile({ x: { code } }).record(ROW, null)) as TailraceError;
    expect(failure).toMatchObject({ code: "delivery.mapping", message: expect.stringContaining(message) as unknown });
    const { filter } = compile(null, { where: { text: "", at: "f (w)", code } });
    const stop = thrownBy(() => filter!(ROW)) as TailraceError;
    expect(stop).toMatchObject({ code: "config.invalid", message: expect.stringContaining("f (w): sync") as unknown });
    for (const { message: told } of [failure, stop]) expect(told).not.toMatch(/ann|secret/);
  },
);

test("a where that is a function says of each row whether it is in, where its columns were sent", () => {
  const where = (run: RowCode["run"]) =>
    compile(null, { where: { text: "", at: "", code: { columns: ["plan"], run, text: "" } } });
  const mapping = where(({ plan }) => plan !== null);
  expect([ROW, NULLS, KEY_ONLY].map((row) => mapping.filter!(row))).toEqual([true, false, null]);
});
