import fc from "fast-check";
import { describe, expect, inject, test } from "vitest";
import { testDatabase } from "../../../test/support/postgres.ts";
import { arrayJson } from "./arrays.ts";

const text = fc.oneof(
  fc.constantFrom("", "NULL", "null", "{", "}", ",", '"', "\\", " ", "a b", "\\\\", '\\"', "{}", "\n", "😀"),
  fc.string({ unit: "grapheme" }).map((value) => value.replaceAll("\0", "")),
);
const element = fc.option(text, { nil: null, freq: 4 });
const shaped = fc
  .array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 })
  .chain((lengths) =>
    fc.tuple(
      fc.constant(lengths),
      fc.array(element, { minLength: lengths.reduce((a, b) => a * b), maxLength: lengths.reduce((a, b) => a * b) }),
      fc.array(fc.integer({ min: -3, max: 3 }), { minLength: lengths.length, maxLength: lengths.length }),
    ),
  );

const json = arrayJson((value) => JSON.stringify(value), ",");

type Nested = string | null | readonly Nested[];

function nest(lengths: readonly number[], elements: readonly (string | null)[]): Nested {
  const [length = 0, ...rest] = lengths;
  if (rest.length === 0) return elements;
  const size = elements.length / length;
  return Array.from({ length }, (_, i) => nest(rest, elements.slice(i * size, (i + 1) * size)));
}

describe("arrays", () => {
  test("whatever the server prints for an array becomes that array", async () => {
    await using database = await testDatabase(inject("postgresUrl"));
    await fc.assert(
      fc.asyncProperty(fc.array(shaped, { minLength: 1, maxLength: 40 }), async (arrays) => {
        const literals = arrays.map(([lengths, elements, bounds]) => {
          const bound = lengths.map((length, i) => `[${bounds[i]}:${bounds[i]! + length - 1}]`).join("");
          return `${bound}=${literal(nest(lengths, elements))}`;
        });
        const printed = await database.client.query<{ printed: string }>(
          "SELECT x::text[]::text AS printed FROM unnest($1::text[]) AS x",
          [literals],
        );
        for (const [i, [lengths, elements]] of arrays.entries()) {
          expect(JSON.parse(json(printed.rows[i]!.printed))).toEqual(nest(lengths, elements));
        }
      }),
      { numRuns: 60 },
    );
  });

  test("any other text becomes a JSON string", () => {
    const broken = [
      "",
      "{",
      "}",
      "{a",
      "{a}}",
      "{a}b",
      "a",
      "[0:1]=",
      '{"a}',
      "{a,}",
      "{,a}",
      "{a b{c}}",
      '{"a"b}',
      "{{a}b}",
      "{\\",
      "[x",
    ];
    for (const text of broken) expect(JSON.parse(json(text)), text).toBe(text);
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("{", "}", ",", '"', "\\", "a", "=", "[") }), (value) => {
        const parsed = JSON.parse(json(value)) as unknown;
        expect(typeof parsed === "string" ? parsed : Array.isArray(parsed)).toBe(
          typeof parsed === "string" ? value : true,
        );
      }),
    );
  });

  test("elements and the delimiter are the type's", () => {
    expect(arrayJson((value) => `<${value}>`, ";")("{(1,2),(0,0);(3,3),(1,1)}")).toBe("[<(1,2),(0,0)>,<(3,3),(1,1)>]");
    expect(json("{}")).toBe("[]");
    expect(json("[2:3][0:0]={{a},{NULL}}")).toBe('[["a"],[null]]');
  });
});

/** As a person would write it: every element quoted. */
function literal(value: Nested): string {
  if (typeof value === "object" && value !== null) return `{${value.map(literal).join(",")}}`;
  return value === null ? "NULL" : `"${value.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}
