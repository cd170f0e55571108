import { Liquid } from "liquidjs";
import type { Template } from "liquidjs";
import type { Delivery, MappedRecord, Target } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { UNCHANGED } from "../../contracts/values.ts";

/** A setting that is the same for every row, or made from each. */
export interface RowText {
  /** Null when it depends on the row. */
  readonly constant: string | null;
  /** @throws TailraceError `delivery.mapping`; its message names the setting, never a value. */
  render(delivery: Delivery): string;
}

class EmptyValue extends Error {}

function engine(outputEscape: (value: unknown) => string): Liquid {
  const liquid = new Liquid({
    ownPropertyOnly: true,
    strictFilters: true,
    // The same row must give the same request on every machine.
    timezoneOffset: 0,
    locale: "en-US",
    templates: {},
    parseLimit: 100_000,
    renderLimit: 1000,
    memoryLimit: 10_000_000,
    outputEscape,
  });
  for (const tag of ["include", "render", "layout", "block"]) {
    const parse = () => {
      throw new Error(`the tag "${tag}" is not available: a template cannot read other files`);
    };
    liquid.registerTag(tag, { parse, render() {} });
  }
  return liquid;
}

const ENGINES = {
  url: engine((value) => {
    const text = plainText(value);
    // `/users/` is another resource than `/users/42`.
    if (text === "") throw new EmptyValue();
    return encodeURIComponent(text.toWellFormed());
  }),
  text: engine(plainText),
};

const ROW_NAMES = new Set(["record", "old", "key", "match", "id", "op", "change", "position"]);
const SYNC_NAMES = new Set(["sync", "object", "mode"]);

/**
 * Compiles a setting for one sync.
 *
 * @param perRow whether a request has one row, so that `record` and its like mean something.
 * @throws TailraceError `destination.config` for bad syntax, an unknown name or field.
 */
export function rowText(
  setting: string,
  source: string,
  kind: "url" | "text",
  target: Target,
  perRow: boolean,
): RowText {
  if (!source.includes("{{") && !source.includes("{%")) return { constant: source, render: () => source };
  const engine = ENGINES[kind];
  const fail = (message: string): never => {
    throw new TailraceError("destination.config", `\`${setting}\`: ${message}`);
  };
  let template: Template[];
  try {
    template = engine.parse(source);
  } catch (error) {
    return fail(error instanceof Error ? error.message : "not a Liquid template");
  }
  let usesRow = false;
  for (const [root, member] of engine.globalVariableSegmentsSync(template)) {
    if (typeof root !== "string" || (!ROW_NAMES.has(root) && !SYNC_NAMES.has(root))) {
      return fail(`there is no \`${String(root)}\`; use ${[...ROW_NAMES, ...SYNC_NAMES].join(", ")}`);
    }
    if (!ROW_NAMES.has(root)) continue;
    usesRow = true;
    if ((root === "record" || root === "old") && typeof member === "string") {
      const names = target.shape.fields.map((field) => field.name);
      if (!names.includes(member)) fail(`the sync maps no field \`${member}\`; it maps ${names.join(", ")}`);
    }
  }
  if (usesRow && !perRow) {
    return fail(
      "a batch has no single row to make this from; use `batch: { format: single }`, or only sync, object and mode",
    );
  }
  const render = (scope: object): string => {
    try {
      return String(engine.renderSync(template, scope));
    } catch (error) {
      const cause = (error as { originalError?: unknown }).originalError;
      const why =
        error instanceof EmptyValue || cause instanceof EmptyValue ? "a value is null or empty" : "the template failed";
      throw new TailraceError("delivery.mapping", `\`${setting}\` cannot be made from this row: ${why}`);
    }
  };
  const sync = { sync: target.sync, object: target.object, mode: target.mode };
  if (!usesRow) {
    const constant = render(sync);
    return { constant, render: () => constant };
  }
  return { constant: null, render: (delivery) => render({ ...sync, ...rowScope(delivery) }) };
}

function rowScope(delivery: Delivery): object {
  const { id, op, change, position, key, match, record, old } = delivery;
  return {
    id,
    op,
    change,
    position,
    key,
    match: match.map((value) => (value === UNCHANGED ? null : value)),
    record: fields(record),
    old: old === null ? null : fields(old),
  };
}

/** The values as texts, as the source prints them; only booleans become true and false, or `{% if %}` could not be used. */
function fields(record: MappedRecord): object {
  const scope = Object.create(null) as Record<string, string | boolean | null>;
  for (const [place, field] of record.shape.fields.entries()) {
    const value = record.values[place];
    if (value === undefined || value === UNCHANGED || value === null) scope[field.name] = null;
    else scope[field.name] = field.json === "boolean" ? value === "true" : value;
  }
  return scope;
}

function plainText(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return Array.isArray(value) ? value.map(plainText).join("") : "";
}
