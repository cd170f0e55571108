import fc from "fast-check";
import { expect, test } from "vitest";
import { jsonFields } from "../../../test/support/json-text.ts";
import { mapOf, relationWith, syncWith } from "../../../test/support/syncs.ts";
import { UNCHANGED, type Value } from "../../contracts/values.ts";
import { compileMapping } from "./compile.ts";

const text = fc.string({ unit: "binary" });
const number = fc
  .tuple(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), fc.option(fc.stringMatching(/^[0-9]{1,20}$/)))
  .map(([whole, fraction]) => `${whole}${fraction === null ? "" : `.${fraction}`}`);
const json = fc
  .tuple(fc.jsonValue(), fc.constantFrom("", "  ", "\n"))
  .map(([value, space]) => JSON.stringify(value, null, space));
const VALUES = {
  bigint: number,
  numeric: number,
  text,
  boolean: fc.constantFrom("true", "false"),
  jsonb: json,
} as const;
type Type = keyof typeof VALUES;

interface Cell {
  readonly type: Type;
  readonly value: Value;
}

const cell: fc.Arbitrary<Cell> = fc.constantFrom(...(Object.keys(VALUES) as Type[])).chain((type) => {
  const value: fc.Arbitrary<Value> = fc.oneof(
    { weight: 5, arbitrary: VALUES[type] },
    fc.constant(null),
    fc.constant(UNCHANGED),
  );
  return fc.record({ type: fc.constant(type), value });
});
/** Field names of any kind; JSON.parse keeps the last of two equal ones, so they differ. */
const cells = fc.uniqueArray(fc.tuple(text, cell), { selector: ([name]) => name, maxLength: 8 });

test("a record's JSON holds the same values: texts parsed, numbers digit by digit, JSON as it means", () => {
  fc.assert(
    fc.property(cells, fc.boolean(), (named, reversed) => {
      const relation = relationWith(
        named.map(([name, { type }]) => ({ name, type, json: encoding(type), comparison: "text", nullable: true })),
        { key: [] },
      );
      const row = named.map(([, { value }]) => value);
      const names = named.map(([name]) => name);
      const order = reversed ? names.toReversed() : names;
      const map = mapOf(Object.fromEntries(order.map((name, index) => [`f${index}`, { column: name }])));
      const renamed = map.map((mapping, index) => ({ ...mapping, field: order[index]! }));
      const record = compileMapping(syncWith({ mode: "event", map: renamed }), relation).record(row, null);

      const fields = jsonFields(record.json());
      expect([...fields.keys()]).toEqual(order.filter((name) => row[names.indexOf(name)] !== UNCHANGED));
      for (const [name, { type, value }] of named) {
        if (value === UNCHANGED) continue;
        const written = fields.get(name)!;
        expect(written).not.toMatch(/[\r\n]/);
        expect(record.fieldJson(order.indexOf(name))).toBe(written);
        if (value === null) expect(written).toBe("null");
        else if (type === "text") expect(JSON.parse(written)).toBe(value);
        else if (type === "jsonb") expect(JSON.parse(written)).toEqual(JSON.parse(value));
        else expect(written).toBe(value);
      }
    }),
  );
});

function encoding(type: Type): "number" | "string" | "boolean" | "json" {
  if (type === "text") return "string";
  if (type === "jsonb") return "json";
  return type === "boolean" ? "boolean" : "number";
}
