import { expect, test } from "vitest";
import { KEY_ONLY, NULLS, relation, ROW } from "../../../test/support/mapped-rows.ts";
import { mapOf, relationWith, syncWith, thrownBy, type MapEntry } from "../../../test/support/syncs.ts";
import type { TailraceError } from "../../contracts/errors.ts";
import type { Sync } from "../../contracts/sync.ts";
import { UNCHANGED, type Values } from "../../contracts/values.ts";
import { compileMapping, type Mapping } from "./compile.ts";

function compile(map: Readonly<Record<string, MapEntry>> | null, overrides: Partial<Sync> = {}): Mapping {
  return compileMapping(syncWith({ map: map === null ? null : mapOf(map), mode: "event", ...overrides }), relation);
}

function json(map: Readonly<Record<string, MapEntry>>, row: Values = ROW, before: Values | null = null): string {
  return compile(map).record(row, before).json();
}

test("without a map, every column goes out under its own name, in the encoding of its type", () => {
  const mapping = compile(null, { mode: "mirror" });
  const record = mapping.record(ROW, null);
  expect(record.json()).toBe(
    String.raw`{"id":9007199254740993,"email":"ann@x.org","plan":"the \"pro\"","ltv":12.50,"active":true,"settings":{"a": 1.0},"tags":["x","y"]}`,
  );
  // The row itself: nothing is copied.
  expect(record.values).toBe(ROW);
  expect(mapping.match).toEqual(["id"]);
  expect(mapping.reads).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(mapping.filter).toBeNull();
  expect(record.shape.fields).toEqual([
    { name: "id", type: "bigint", json: "number" },
    { name: "email", type: "text", json: "string" },
    { name: "plan", type: "text", json: "string" },
    { name: "ltv", type: "numeric", json: "number" },
    { name: "active", type: "boolean", json: "boolean" },
    { name: "settings", type: "jsonb", json: "json" },
    { name: "tags", type: "text[]", json: "array" },
  ]);
  expect(record.shape).toBe(mapping.shape);
});

test("columns are renamed, reordered, repeated and left out", () => {
  const mapping = compile({ Plan: "plan", Email: "email", again: "plan" });
  const record = mapping.record(ROW, null);
  expect(record.json()).toBe(String.raw`{"Plan":"the \"pro\"","Email":"ann@x.org","again":"the \"pro\""}`);
  expect(record.values).toEqual(['the "pro"', "ann@x.org", 'the "pro"']);
  expect(record.fieldJson(1)).toBe('"ann@x.org"');
  expect(mapping.reads).toEqual([1, 2]);
});

test("field names are escaped too", () => {
  expect(json({ 'a "b"\n': "email", __proto__x: "id" })).toBe(
    String.raw`{"a \"b\"\n":"ann@x.org","__proto__x":9007199254740993}`,
  );
});

test("constants keep their JSON type", () => {
  const record = compile({ s: { value: "gold" }, n: { value: 1.5 }, b: { value: false }, z: { value: null } }).record(
    ROW,
    null,
  );
  expect(record.json()).toBe('{"s":"gold","n":1.5,"b":false,"z":null}');
  expect(record.values).toEqual(["gold", "1.5", "false", null]);
  expect(record.shape.fields.map((field) => field.json)).toEqual(["string", "number", "boolean", "string"]);
  expect(json({ n: { value: 5, as: "string" }, m: { value: "007", as: "number" } })).toBe('{"n":"5","m":7}');
});

test("templates give texts, and `as` makes something else of them", () => {
  const map = {
    first: { template: "{{ email | split: '@' | first }}" },
    cents: { template: "{{ ltv | times: 100 }}", as: "number" },
    object: { template: '{"plan": {{ plan | json }}}', as: "json" },
  } as const;
  expect(json(map)).toBe(String.raw`{"first":"ann","cents":1250,"object":{"plan": "the \"pro\""}}`);
});

test("as chooses how a value is written", () => {
  const row: Values = ["12", "+07.50", "yes", "NaN", "false", '{"a":\n1}', "{x}"];
  expect(
    json(
      {
        id: { column: "id", as: "string" },
        email: { column: "email", as: "number" },
        plan: { column: "plan", as: "boolean" },
      },
      row,
    ),
  ).toBe('{"id":"12","email":7.50,"plan":true}');
  expect(json({ s: { column: "settings", as: "string" }, t: { column: "tags", as: "string" }, l: "ltv" }, row)).toBe(
    String.raw`{"s":"{\"a\":\n1}","t":"{x}","l":"NaN"}`,
  );
  // A json column's own line breaks would end an NDJSON line.
  expect(json({ s: "settings", j: { column: "settings", as: "json" } }, row)).toBe('{"s":{"a": 1},"j":{"a": 1}}');
  expect(compile({ n: { column: "email", as: "number" } }).record(row, null).values).toEqual(["7.50"]);
});

test("a null is sent, left out or refused", () => {
  const map = {
    a: "email",
    b: { column: "plan", null: "omit" },
    c: "ltv",
    d: { column: "id", null: "reject" },
  } as const;
  expect(json(map, NULLS)).toBe('{"a":null,"c":null,"d":1}');
  expect(compile(map).record(NULLS, null).values[1]).toBe(UNCHANGED);
  const error = thrownBy(() => json({ d: { column: "plan", null: "reject" } }, NULLS)) as TailraceError;
  expect(error.code).toBe("delivery.mapping");
  expect(error.message).toBe(
    'sync "users_to_crm": field "d": column "plan" is null, which the mapping refuses (null: reject)',
  );
});

test("what was not sent is left out, and so is a template that would need it", () => {
  const row: Values = ["1", UNCHANGED, "pro", UNCHANGED, null, null, null];
  const map = {
    email: "email",
    plan: "plan",
    both: { template: "{{ plan }} {{ email }}" },
    n: { column: "ltv", as: "number" },
  } as const;
  const mapping = compile(map);
  const record = mapping.record(row, null);
  expect(record.json()).toBe('{"plan":"pro"}');
  expect(record.values).toEqual([UNCHANGED, "pro", UNCHANGED, UNCHANGED]);
  expect(() => record.fieldJson(0)).toThrow("Field 0 (email) has no value in this record.");
  expect(mapping.incomplete(row)).toBe(true);
  expect(mapping.incomplete(ROW)).toBe(false);
  expect(compile({ plan: "plan" }).incomplete(row)).toBe(false);
  expect(compile({ plan: "plan" }, { where: { text: "ltv > 1", at: "w" } }).incomplete(row)).toBe(true);
  expect(compile({ email: "email" }).record(row, null).json()).toBe("{}");
});

test.each([
  ["number", "twelve"],
  ["number", "NaN"],
  ["boolean", "maybe"],
  ["json", '{"a":'],
] as const)("a value that cannot be written as %s is refused without being shown", (as, value) => {
  const row: Values = ["1", value, null, null, null, null, null];
  const error = thrownBy(() => json({ e: { column: "email", as } }, row)) as TailraceError;
  expect(error.code).toBe("delivery.mapping");
  expect(error.message).toBe(
    `sync "users_to_crm": field "e": column "email" has a value that cannot be written as ${as} (as: ${as})`,
  );
  expect(error.cause).toBeUndefined();
});

test("a template that fails is refused without its values being shown", () => {
  const template = "{% for a in (1..9999) %}{% for b in (1..9999) %}{{ email }}{% endfor %}{% endfor %}";
  const error = thrownBy(() => json({ e: { template } })) as TailraceError;
  expect(error.code).toBe("delivery.mapping");
  expect(error.message).toMatch(/^sync "users_to_crm": field "e": the template failed at line \d+, col \d+$/);
  expect(JSON.stringify([error.message, error.cause])).not.toContain("ann@x.org");
});

test("mode event reads the old row beside the new one", () => {
  const map = {
    was: "old.plan",
    is: "plan",
    text: { template: "{{ old.plan }}>{{ plan }}" },
    k: { value: 1 },
  } as const;
  const old: Values = ["1", "e", "free", "1", null, null, null];
  const mapping = compile(map);
  expect(mapping.record(ROW, old).json()).toBe(
    String.raw`{"was":"free","is":"the \"pro\"","text":"free>the \"pro\"","k":1}`,
  );
  expect(mapping.record(ROW, null).json()).toBe(
    String.raw`{"was":null,"is":"the \"pro\"","text":">the \"pro\"","k":1}`,
  );
  // The old row alone: what its own old row was is not known.
  expect(mapping.old(old).json()).toBe('{"is":"free","k":1}');
  expect(mapping.deleteRecord(old).json()).toBe('{"was":"free","is":"free","text":"free>free","k":1}');
  expect(mapping.oldColumns).toEqual([{ column: "plan", because: 'map: "was" reads the old row' }]);
  expect(mapping.reads).toEqual([2]);
});

test("an old row refuses nothing: what cannot be written is left out", () => {
  const map = {
    id: "id",
    e: { column: "email", as: "number" },
    p: { column: "plan", null: "reject" },
    o: { column: "ltv", null: "omit" },
  } as const;
  const mapping = compile(map);
  expect(mapping.old(["1", "x", null, null, null, null, null]).json()).toBe('{"id":1,"p":null}');
  expect(mapping.old(KEY_ONLY).json()).toBe('{"id":7}');
  expect(mapping.deleteRecord(KEY_ONLY).json()).toBe('{"id":7}');
});

test("archive sends the match and archive fields, clear the match field and nulls", () => {
  const onDelete = { kind: "archive", fields: { status: "gone", left: true, n: 2, z: null } } as const;
  const mapping = compile({ contact: "id", email: "email", src: { value: "x" } }, { mode: "mirror", onDelete });
  expect(mapping.archiveRecord(KEY_ONLY).json()).toBe('{"contact":7,"status":"gone","left":true,"n":2,"z":null}');
  expect(mapping.archiveRecord(KEY_ONLY).shape.fields.map(({ name, json }) => [name, json])).toEqual([
    ["contact", "number"],
    ["status", "string"],
    ["left", "boolean"],
    ["n", "number"],
    ["z", "string"],
  ]);
  expect(mapping.clearRecord(KEY_ONLY).json()).toBe('{"contact":7,"email":null,"src":null}');
  expect(mapping.clearRecord(KEY_ONLY).shape).toBe(mapping.shape);
});

test("match: the sync's own field, else the fields of the key's columns", () => {
  const two = relationWith({ a: "bigint", b: "text", c: "text" }, { key: [1, 0] });
  const byKey = compileMapping(syncWith({ map: mapOf({ A: "a", B: "b", C: "c" }) }), two);
  expect(byKey.match).toEqual(["B", "A"]);
  expect(byKey.matchValues(["1", "x", "y"])).toEqual(["x", "1"]);
  expect(byKey.matchValues(["1", UNCHANGED, "y"])).toEqual([UNCHANGED, "1"]);
  expect(byKey.oldColumns).toEqual([]);

  const template = { ext: { template: "user-{{ id }}" }, n: { column: "email", as: "number", null: "omit" } } as const;
  const byTemplate = compile(template, { mode: "mirror", match: "ext" });
  expect(byTemplate.match).toEqual(["ext"]);
  expect(byTemplate.matchValues(KEY_ONLY)).toEqual(["user-7"]);
  expect(byTemplate.oldColumns).toEqual([]);
  const byNumber = compile(template, { mode: "upsert", match: "n" });
  expect(byNumber.matchValues(["1", "+05", null, null, null, null, null])).toEqual(["5"]);
  // What cannot be written cannot be found, and neither can null, whatever its policy.
  expect(byNumber.matchValues(["1", "five", null, null, null, null, null])).toEqual([null]);
  expect(byNumber.matchValues(NULLS)).toEqual([null]);

  expect(compile({ email: "email" }, { mode: "insert" }).match).toEqual([]);
  expect(compile({ email: "email" }, { mode: "event" }).match).toEqual([]);
});

test("old values are needed of where and match, unless they are the key's or nothing depends on them", () => {
  const where = { text: "active AND id > 5", at: "tailrace.yml:1:1" };
  const map = { id: "id", email: "email" };
  const active = { column: "active", because: "where: whether the old row was in the sync" };
  const email = { column: "email", because: 'match: the record to delete is found by "email"' };
  const needs = (overrides: Partial<Sync>) => compile(map, { where, ...overrides }).oldColumns;
  expect(needs({ mode: "mirror", match: "email" })).toEqual([email, active]);
  expect(needs({ mode: "mirror" })).toEqual([active]);
  expect(needs({ mode: "mirror", match: "email", onDelete: { kind: "ignore" } })).toEqual([]);
  expect(needs({ mode: "upsert", match: "email" })).toEqual([]);
  for (const mode of ["insert", "update", "event"] as const) expect(needs({ mode })).toEqual([active]);
});

test("where filters by three-valued logic, and says when it cannot tell", () => {
  const { filter, reads } = compile({ email: "email" }, { where: { text: "active AND ltv >= 10", at: "w" } });
  expect(reads).toEqual([1, 3, 4]);
  expect(filter!(ROW)).toBe(true);
  expect(filter!(NULLS)).toBe(false);
  expect(filter!(KEY_ONLY)).toBeNull();
});

test.each<[Readonly<Record<string, MapEntry>>, Partial<Sync>, string, string]>([
  [
    { x: "emial" },
    {},
    "source.model",
    'tailrace.yml:14:7: sync "users_to_crm": model "users" has no column "emial" (did you mean "email"?)',
  ],
  [{ x: "zzzzzz" }, {}, "source.model", 'tailrace.yml:14:7: sync "users_to_crm": model "users" has no column "zzzzzz"'],
  [
    { x: "old.paln" },
    {},
    "source.model",
    'tailrace.yml:14:7: sync "users_to_crm": model "users" has no column "paln" (did you mean "plan"?)',
  ],
  [
    { x: { template: "{{ Plan }}" } },
    {},
    "source.model",
    'tailrace.yml:14:7: sync "users_to_crm": field "x": the template reads "Plan", but model "users" has no column "Plan" (did you mean "plan"?)',
  ],
  [
    { x: { template: "{{ plan" } },
    {},
    "config.invalid",
    'tailrace.yml:14:7: sync "users_to_crm": field "x": the template cannot be read: output "{{ plan" not closed, line:1, col:1',
  ],
  [
    { x: "old.plan" },
    { mode: "upsert" },
    "config.invalid",
    'tailrace.yml:14:7: sync "users_to_crm": field "x": "old.plan" can be read in mode event only; this sync\'s mode is upsert',
  ],
  [
    { x: { template: "{{ old.plan }}" } },
    { mode: "mirror" },
    "config.invalid",
    'tailrace.yml:14:7: sync "users_to_crm": field "x": "old.plan" can be read in mode event only; this sync\'s mode is mirror',
  ],
  [
    { x: { value: "many", as: "number" } },
    {},
    "config.invalid",
    'tailrace.yml:14:7: sync "users_to_crm": field "x": the constant cannot be written as number',
  ],
  [
    { x: { value: Number.NaN } },
    {},
    "config.invalid",
    'tailrace.yml:14:7: sync "users_to_crm": field "x": JSON has no number NaN',
  ],
  [
    { x: { value: null, null: "reject" } },
    {},
    "config.invalid",
    'tailrace.yml:14:7: sync "users_to_crm": field "x": the constant is null, which null: reject refuses for every row',
  ],
  [
    { email: "email" },
    { mode: "upsert" },
    "config.invalid",
    'tailrace.yml:10:3: sync "users_to_crm": the key column "id" of model "users" is not mapped; map it to a field, or say with match: which field identifies a record',
  ],
  [
    { id: "id", email: "email" },
    { match: "e-mail" },
    "config.invalid",
    'tailrace.yml:10:3: sync "users_to_crm": match: "e-mail" is not a field of the map (did you mean "email"?)',
  ],
  [
    { id: "id", was: "old.plan" },
    { match: "was" },
    "config.invalid",
    'tailrace.yml:10:3: sync "users_to_crm": match: "was" is read of the old row, so it cannot identify the new one',
  ],
  [
    { id: "id", kind: { value: "user" } },
    { match: "kind" },
    "config.invalid",
    'tailrace.yml:10:3: sync "users_to_crm": match: "kind" is the same for every row, so it cannot identify a record',
  ],
  [
    { id: "id" },
    { mode: "mirror", onDelete: { kind: "archive", fields: { id: 0 } } },
    "config.invalid",
    'tailrace.yml:10:3: sync "users_to_crm": on_delete: archive: "id" is the match field',
  ],
  [
    { id: "id" },
    { where: { text: "palns = 'x'", at: "tailrace.yml:20:12" } },
    "source.model",
    'tailrace.yml:20:12: sync "users_to_crm": where, character 1: model "users" has no column "palns" (did you mean "plan"?)',
  ],
])("the map %j with %j is refused", (map, overrides, code, message) => {
  const error = thrownBy(() => compile(map, overrides)) as TailraceError;
  expect(error.message).toBe(message);
  expect(error.code).toBe(code);
});

test("a field that is mapped twice, and a model without a key, are refused", () => {
  const twice = [...mapOf({ id: "id" }), ...mapOf({ id: "email" })];
  expect(thrownBy(() => compileMapping(syncWith({ map: twice }), relation)).message).toBe(
    'tailrace.yml:10:3: sync "users_to_crm": field "id" is mapped twice',
  );
  expect(thrownBy(() => compileMapping(syncWith(), relationWith({ id: "bigint" }, { key: [] }))).message).toBe(
    'tailrace.yml:10:3: sync "users_to_crm": model "users" has no key; say with match: which field identifies a record',
  );
});
