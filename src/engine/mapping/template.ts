import { Drop, Liquid, type Comparable, type Template as LiquidTemplate } from "liquidjs";
import type { Column } from "../../contracts/relation.ts";
import { UNCHANGED, type Value, type Values } from "../../contracts/values.ts";
import { toJsonNumber } from "./json-text.ts";
import { compareDecimals, parseDecimal } from "./decimal.ts";

/** Far above what a field needs; they stop a template that runs away. */
const MAX_TEMPLATE_CHARACTERS = 100_000;
const MAX_RENDER_MS = 1_000;
const MAX_RENDER_ALLOCATIONS = 10_000_000;
const MAX_OUTPUT_CHARACTERS = 10_000_000;

/** A variable and what is read of it: `["old", "plan"]`; a list in the list is itself a variable. */
type Path = ReturnType<Liquid["globalVariableSegmentsSync"]>[number];
type Segment = Path[number];

const liquid = new Liquid({
  strictVariables: true,
  strictFilters: true,
  ownPropertyOnly: true,
  // The same row must give the same text on every machine.
  timezoneOffset: 0,
  locale: "en-US",
  dynamicPartials: false,
  templates: {},
  parseLimit: MAX_TEMPLATE_CHARACTERS,
  renderLimit: MAX_RENDER_MS,
  memoryLimit: MAX_RENDER_ALLOCATIONS,
});
for (const tag of ["include", "render", "layout", "block"]) {
  liquid.registerTag(tag, {
    parse() {
      throw new Error(`the tag "${tag}" is not available: a template cannot read other files`);
    },
    render() {},
  });
}

/** A mistake in a template's text. `column` is set when it names a column that is not there. */
export class TemplateMistake extends Error {
  readonly column: string | null;
  constructor(message: string, column: string | null = null) {
    super(message);
    this.column = column;
  }
}

export interface Template {
  /** Places that it reads of the row, and of the old row (`old.x`). */
  readonly reads: readonly number[];
  readonly oldReads: readonly number[];
  /** The text. Null and what was not sent are nil. Throws when rendering fails; the error may hold row values. */
  render(row: Values, old: Values | null): string;
}

/** Throws {@link TemplateMistake}. */
export function compileTemplate(text: string, columns: readonly Column[]): Template {
  const { parsed, variables } = parse(text);
  const reads = new Set<number>();
  const oldReads = new Set<number>();
  let bareOld = false;
  for (const path of variables) {
    const [root, ...rest] = path;
    if (root === "old" && rest.length > 0) {
      oldReads.add(placeOf(rest[0]!, rest.slice(1), columns, "old."));
    } else {
      bareOld ||= root === "old";
      reads.add(placeOf(root as Segment, rest, columns, ""));
    }
  }
  if (bareOld && oldReads.size > 0) {
    throw new TemplateMistake("the template reads a column named old and the old row, which have the same name");
  }
  const rowReads = [...reads];
  const beforeReads = [...oldReads];
  return {
    reads: rowReads,
    oldReads: beforeReads,
    render(row, old) {
      const scope = scopeOf(row, rowReads, columns);
      if (beforeReads.length > 0) scope["old"] = scopeOf(old, beforeReads, columns);
      const output: unknown = liquid.renderSync(parsed, scope, { sync: true });
      const result = String(output);
      if (result.length > MAX_OUTPUT_CHARACTERS) throw new Error("the output is too long");
      return result;
    },
  };
}

function parse(text: string): { parsed: LiquidTemplate[]; variables: Path[] } {
  try {
    const parsed = liquid.parse(text);
    return { parsed, variables: liquid.globalVariableSegmentsSync(parsed, { partials: false }) };
  } catch (error) {
    throw new TemplateMistake(`the template cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function placeOf(name: Segment, path: readonly Segment[], columns: readonly Column[], prefix: string): number {
  if (typeof name !== "string") {
    throw new TemplateMistake(`the template must name the columns that it reads: ${prefix}[…] is not known beforehand`);
  }
  const place = columns.findIndex((column) => column.name === name);
  if (place < 0) throw new TemplateMistake(`the template reads "${prefix}${name}"`, name);
  // Values are texts, numbers or booleans, of which Liquid can read a text's length only.
  const isText = columns[place]!.comparison === "text";
  const property = path.find((segment) => !isText || segment !== "size");
  if (property !== undefined) {
    const shown = typeof property === "object" ? "[…]" : String(property);
    throw new TemplateMistake(`the template reads "${shown}" of column "${name}", which has no fields`);
  }
  return place;
}

/** Only what the template reads, without a prototype: a column may be named `constructor`. */
function scopeOf(row: Values | null, places: readonly number[], columns: readonly Column[]): Record<string, unknown> {
  const scope = Object.create(null) as Record<string, unknown>;
  for (const place of places) {
    const column = columns[place]!;
    scope[column.name] = row === null ? null : liquidValue(row[place] as Value, column);
  }
  return scope;
}

function liquidValue(value: Value, column: Column): unknown {
  if (value === null || value === UNCHANGED) return null;
  // As a text, `false` would be true in `{% if active %}`.
  if (column.comparison === "boolean") return value === "true" ? true : value === "false" ? false : value;
  if (column.comparison === "number") return new NumberText(value);
  return value;
}

/** A number that prints every digit that the source printed, and compares by value: `{% if total > 9 %}`. */
class NumberText extends Drop implements Comparable {
  readonly #text: string;

  constructor(text: string) {
    super();
    this.#text = text;
  }

  /** What filters and `case` see: a number where it prints the same, else the text. */
  override valueOf(): string | number {
    const number = Number(this.#text);
    return String(number) === this.#text ? number : this.#text;
  }

  override toString(): string {
    return this.#text;
  }

  /** For the filter `json`: the digits as they stand, where JSON has such a number. */
  toJSON(): unknown {
    return toJsonNumber(this.#text) === this.#text ? rawJson(this.#text) : this.#text;
  }

  equals(other: unknown): boolean {
    return this.#compare(other) === 0;
  }
  gt(other: unknown): boolean {
    return (this.#compare(other) ?? 0) > 0;
  }
  geq(other: unknown): boolean {
    return (this.#compare(other) ?? -1) >= 0;
  }
  lt(other: unknown): boolean {
    return (this.#compare(other) ?? 0) < 0;
  }
  leq(other: unknown): boolean {
    return (this.#compare(other) ?? 1) <= 0;
  }

  #compare(other: unknown): number | null {
    if (typeof other !== "number" && typeof other !== "string" && !(other instanceof NumberText)) return null;
    const mine = parseDecimal(this.#text);
    const theirs = parseDecimal(String(other));
    return mine === null || theirs === null ? null : compareDecimals(mine, theirs);
  }
}

/** JSON.rawJSON, which TypeScript's library does not know yet. */
const rawJson = (JSON as unknown as { readonly rawJSON: (text: string) => unknown }).rawJSON;
