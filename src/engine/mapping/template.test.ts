import { expect, test } from "vitest";
import { relationWith, thrownBy } from "../../../test/support/syncs.ts";
import { UNCHANGED, type Values } from "../../contracts/values.ts";
import { compileTemplate } from "./template.ts";

const { columns } = relationWith({
  id: "bigint",
  full_name: "text",
  total: "numeric",
  active: "boolean",
  "Full Name": "text",
  created_at: "timestamp with time zone",
  step: "integer",
});
const ROW: Values = ["9007199254740993", "Ann Lee", "12.50", "false", "A. Lee", "2026-01-02 23:30:00.123456+02", "2"];

function render(text: string, row: Values = ROW, old: Values | null = null): string {
  return compileTemplate(text, columns).render(row, old);
}

test.each([
  ["{{ full_name | split: ' ' | first }}", "Ann"],
  ["{{ full_name }} <{{ id }}>", "Ann Lee <9007199254740993>"],
  ["{{ ['Full Name'] }}", "A. Lee"],
  ["{{ full_name.size }}", "7"],
  ["{% assign first = full_name | slice: 0 %}{{ first }}", "A"],
  ["no variable", "no variable"],
  ["", ""],
])("%s renders %j", (text, expected) => {
  expect(render(text)).toBe(expected);
});

test.each([
  // As texts, "false" would be true, "12.50" not 12.5, and "9" greater than "12.50".
  ["{% if active %}on{% else %}off{% endif %}", "off"],
  ["{{ active }}", "false"],
  ["{% if total == 12.5 %}same{% endif %}", "same"],
  ["{% if total > 9 %}more{% endif %}", "more"],
  ["{% if 9 < total %}more{% endif %}", "more"],
  ["{% if total >= 12.5 and total <= 12.5 %}between{% endif %}", "between"],
  ["{% if total != nil %}set{% endif %}", "set"],
  ["{% case step %}{% when 2 %}a{% else %}b{% endcase %}", "a"],
  ["{% if step == '2' and step == 2 and step == 2.0 %}same{% endif %}", "same"],
  ["{{ step | date: '%Y' }} {{ step | append: 'x' }} {{ step }}", "1970 2x 2"],
  ["{% if id == 9007199254740993 %}{% else %}other{% endif %}", "other"],
  ["{% if id == '9007199254740993' %}exact{% endif %}", "exact"],
  ["{{ total }} {{ total | append: '!' }} {{ total | plus: 1 }}", "12.50 12.50! 13.5"],
  [
    '{"total": {{ total | json }}, "id": {{ id | json }}, "name": {{ full_name | json }}}',
    '{"total": 12.50, "id": 9007199254740993, "name": "Ann Lee"}',
  ],
])("%s minds the column's type: %j", (text, expected) => {
  expect(render(text)).toBe(expected);
});

test("dates are in UTC and English, wherever it runs", () => {
  expect(render("{{ created_at | date: '%A %Y-%m-%d %H:%M' }}")).toBe("Friday 2026-01-02 21:30");
});

test("null and what was not sent are nil", () => {
  const nothing: Values = ["1", null, UNCHANGED, null, UNCHANGED, null];
  expect(render("[{{ full_name }}|{{ total }}|{{ active }}|{{ full_name | default: 'friend' }}]", nothing)).toBe(
    "[|||friend]",
  );
  expect(render("{% if total > 1 %}more{% else %}not{% endif %}{% unless active %}!{% endunless %}", nothing)).toBe(
    "not!",
  );
});

test("old.x is the old row's", () => {
  const text = "{{ old.total }} → {{ total }}{% if old.total < total %} up{% endif %}";
  const template = compileTemplate(text, columns);
  expect([template.reads, template.oldReads]).toEqual([[2], [2]]);
  expect(render(text, ROW, ["1", null, "9", null, null, null])).toBe("9 → 12.50 up");
  expect(render(text, ROW, null)).toBe(" → 12.50");
  expect(render("{{ old['Full Name'] }}", ROW, ROW)).toBe("A. Lee");
});

test("it reads only the columns that it names", () => {
  const template = compileTemplate("{{ total }}{% if active %}{% assign x = id %}{{ x }}{% endif %}", columns);
  expect(template.reads.toSorted((a, b) => a - b)).toEqual([0, 2, 3]);
});

test("columns named like what JavaScript objects have are only columns", () => {
  const names = [
    "__proto__",
    "constructor",
    "toString",
    "toJSON",
    "valueOf",
    "hasOwnProperty",
    "toLiquid",
    "size",
    "then",
  ];
  const odd = relationWith(Object.fromEntries(names.map((name) => [`${name}_`, "text"]))).columns.map((column) => {
    return { ...column, name: column.name.slice(0, -1) };
  });
  const row = names.map((name) => `<${name}>`);
  for (const [index, name] of names.entries()) {
    expect(compileTemplate(`{{ ${name} }}`, odd).render(row, null)).toBe(row[index]);
    expect(compileTemplate(`{{ old.${name} }}`, odd).render(row, row)).toBe(row[index]);
    expect(thrownBy(() => compileTemplate(`{{ ${name} }}`, columns)).message).toBe(`the template reads "${name}"`);
  }
  expect(Object.getPrototypeOf({})).toBe(Object.prototype);
});

test("a column named old is itself, but not beside the old row", () => {
  const odd = relationWith({ old: "text", plan: "text" }).columns;
  expect(compileTemplate("{{ old }}", odd).render(["x", "y"], null)).toBe("x");
  expect(compileTemplate("{{ old.plan }}", odd).render(["x", "y"], ["x", "z"])).toBe("z");
  expect(thrownBy(() => compileTemplate("{{ old }}{{ old.plan }}", odd)).message).toMatch("have the same name");
});

test.each([
  ["{{ full_nam }}", 'the template reads "full_nam"'],
  ["{{ old.full_nam }}", 'the template reads "old.full_nam"'],
  ["{{ old }}", 'the template reads "old"'],
  ["{{ old[full_name] }}", "the template must name the columns that it reads: old.[…] is not known beforehand"],
  ["{{ full_name.first_name }}", 'the template reads "first_name" of column "full_name", which has no fields'],
  ["{{ full_name[0] }}", 'the template reads "0" of column "full_name", which has no fields'],
  ["{{ full_name.first }}", 'the template reads "first" of column "full_name", which has no fields'],
  ["{{ total.size }}", 'the template reads "size" of column "total", which has no fields'],
  ["{{ full_name", 'the template cannot be read: output "{{ full_name" not closed, line:1, col:1'],
  ["{{ full_name | upcas }}", "the template cannot be read: undefined filter: upcas, line:1, col:1"],
  ["{% if active %}", "the template cannot be read: tag {% if active %} not closed, line:1, col:1"],
  [
    "{% include 'a' %}",
    'the template cannot be read: the tag "include" is not available: a template cannot read other files, line:1, col:1',
  ],
  [
    "{% render '/etc/passwd' %}",
    'the template cannot be read: the tag "render" is not available: a template cannot read other files, line:1, col:1',
  ],
  [
    "{% layout 'a' %}",
    'the template cannot be read: the tag "layout" is not available: a template cannot read other files, line:1, col:1',
  ],
])("%s is refused", (text, message) => {
  expect(thrownBy(() => compileTemplate(text, columns)).message).toBe(message);
});

test("a template that runs away is stopped", () => {
  const endless = "{% for a in (1..100000) %}{% for b in (1..100000) %}{{ a }}{% endfor %}{% endfor %}";
  expect(thrownBy(() => render(endless)).message).toMatch(/limit exceeded/);
});
