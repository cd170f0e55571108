import type { Field } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Column, JsonEncoding, Relation } from "../../contracts/relation.ts";
import type { As, Constant, FieldMapping, Sync } from "../../contracts/sync.ts";
import { UNCHANGED, type Value, type Values } from "../../contracts/values.ts";
import { invalid, noSuchColumn, placeOf } from "./configuration-error.ts";
import { isJson, toJsonBoolean, toJsonNumber } from "./json-text.ts";
import { compileCode, given } from "./row-code.ts";
import { compileTemplate, TemplateMistake, type Template } from "./template.ts";

/** One destination field: how its text is had of a row. */
export interface CompiledField {
  readonly field: Field;
  readonly encoding: JsonEncoding;
  /** The column whose text is sent as it stands, null and all; null when there is more to it. */
  readonly plainPlace: number | null;
  /** The column behind it, whatever is done to it; null for constants, templates and the old row. */
  readonly columnPlace: number | null;
  readonly reads: readonly number[];
  readonly oldReads: readonly number[];
  /** For a record that is sent. UNCHANGED: left out. Throws delivery.mapping. */
  read(row: Values, old: Values | null): Value;
  /** For an old row, which nobody can correct any more: what cannot be written is left out, and nothing is refused. */
  readOld(row: Values, old: Values | null): Value;
  /** To find the record by: null when it is null, whatever the null policy, or cannot be written. */
  readMatch(row: Values): Value;
}

/** Reads the text before `as` and the null policy are applied. May throw anything. */
type Read = (row: Values, old: Values | null) => Value;

interface Origin {
  readonly read: Read;
  /** For errors: `column "plan"`, `the template`. */
  readonly subject: string;
  readonly column: Column | null;
  readonly place: number | null;
  readonly encoding: JsonEncoding;
  readonly reads: readonly number[];
  readonly oldReads: readonly number[];
}

/** Throws a config error. */
export function compileField(sync: Sync, mapping: FieldMapping, relation: Relation): CompiledField {
  const origin = originOf(sync, mapping, relation);
  const { read, subject } = origin;
  const convert = conversion(mapping.as);
  const encoding = mapping.as ?? origin.encoding;

  function refusal(problem: string): TailraceError {
    return new TailraceError("delivery.mapping", `sync "${sync.name}": field "${mapping.field}": ${problem}`);
  }

  function written(row: Values, old: Values | null): Value {
    let value: Value;
    try {
      value = read(row, old);
    } catch (error) {
      if (error instanceof TailraceError) throw error;
      // The error's own words may hold values of the row.
      const place = error instanceof Error ? /line:\d+, col:\d+/.exec(error.message)?.[0] : undefined;
      throw refusal(`${subject} failed${place === undefined ? "" : ` at ${place.replaceAll(":", " ")}`}`);
    }
    if (convert === null || typeof value !== "string") return value;
    const converted = convert(value);
    if (converted === null)
      throw refusal(`${subject} has a value that cannot be written as ${mapping.as} (as: ${mapping.as})`);
    return converted;
  }

  function readStrict(row: Values, old: Values | null): Value {
    const value = written(row, old);
    if (value !== null || mapping.null === "send") return value;
    if (mapping.null === "omit") return UNCHANGED;
    throw refusal(`${subject} is null, which the mapping refuses (null: reject)`);
  }

  function readOld(row: Values, old: Values | null): Value {
    try {
      const value = written(row, old);
      return value === null && mapping.null === "omit" ? UNCHANGED : value;
    } catch {
      return UNCHANGED;
    }
  }

  function readMatch(row: Values): Value {
    try {
      return written(row, null);
    } catch {
      return null;
    }
  }

  const plain = convert === null && mapping.null === "send" ? origin.place : null;
  return {
    field: {
      name: mapping.field,
      type: origin.column?.type ?? null,
      json: typeof encoding === "function" ? "array" : encoding,
    },
    encoding,
    plainPlace: plain,
    columnPlace: origin.place,
    reads: origin.reads,
    oldReads: origin.oldReads,
    read: readStrict,
    readOld,
    readMatch,
  };
}

function originOf(sync: Sync, mapping: FieldMapping, relation: Relation): Origin {
  if (mapping.kind === "constant") {
    const { text, encoding } = constantText(sync, mapping.at, mapping.field, mapping.value);
    const converted =
      text === null
        ? null
        : (conversion(mapping.as)?.(text) ?? (mapping.as === null || mapping.as === "string" ? text : null));
    if (text !== null && converted === null) {
      throw invalid(sync, mapping.at, `field "${mapping.field}": the constant cannot be written as ${mapping.as}`);
    }
    if (text === null && mapping.null === "reject") {
      throw invalid(
        sync,
        mapping.at,
        `field "${mapping.field}": the constant is null, which null: reject refuses for every row`,
      );
    }
    return {
      read: () => converted,
      subject: "the constant",
      column: null,
      place: null,
      encoding,
      reads: [],
      oldReads: [],
    };
  }
  if (mapping.kind === "column") {
    const place = placeOf(sync, mapping.at, relation, mapping.column);
    const column = relation.columns[place]!;
    if (!mapping.old) {
      const read: Read = (row) => row[place] as Value;
      return {
        read,
        subject: `column "${column.name}"`,
        column,
        place,
        encoding: column.json,
        reads: [place],
        oldReads: [],
      };
    }
    refuseOld(sync, mapping, column.name);
    const read: Read = (_row, old) => (old === null ? null : (old[place] as Value));
    return {
      read,
      subject: `column "old.${column.name}"`,
      column,
      place: null,
      encoding: column.json,
      reads: [],
      oldReads: [place],
    };
  }
  if (mapping.kind === "code") {
    const { reads, run } = compileCode(sync, mapping.at, mapping.code, relation);
    const read: Read = (row) => {
      const value = run(row);
      if (value === UNCHANGED || value === null || typeof value === "string") return value;
      const problem = `the function gave ${given(value)}; it must give a text or null`;
      throw new TailraceError("delivery.mapping", `sync "${sync.name}": field "${mapping.field}": ${problem}`);
    };
    return { read, subject: "the function", column: null, place: null, encoding: "string", reads, oldReads: [] };
  }
  const template = compiledTemplate(sync, mapping.at, mapping.field, mapping.template, relation);
  if (template.oldReads.length > 0) refuseOld(sync, mapping, relation.columns[template.oldReads[0]!]!.name);
  const { reads, oldReads } = template;
  // Of a column that was not sent, a text made as if it were null would overwrite a good one.
  const read: Read = (row, old) =>
    reads.some((place) => row[place] === UNCHANGED) ? UNCHANGED : template.render(row, old);
  return { read, subject: "the template", column: null, place: null, encoding: "string", reads, oldReads };
}

function refuseOld(sync: Sync, mapping: FieldMapping, column: string): void {
  if (sync.mode === "event") return;
  throw invalid(
    sync,
    mapping.at,
    `field "${mapping.field}": "old.${column}" can be read in mode event only; this sync's mode is ${sync.mode}`,
  );
}

function compiledTemplate(sync: Sync, at: string, field: string, text: string, relation: Relation): Template {
  try {
    return compileTemplate(text, relation.columns);
  } catch (error) {
    if (!(error instanceof TemplateMistake)) throw error;
    if (error.column === null) throw invalid(sync, at, `field "${field}": ${error.message}`);
    throw noSuchColumn(sync, at, relation, error.column, `field "${field}": ${error.message}, but `);
  }
}

/** A constant's text, and its own JSON type. */
export function constantText(
  sync: Sync,
  at: string,
  field: string,
  value: Constant,
): { readonly text: string | null; readonly encoding: "string" | "number" | "boolean" } {
  if (value === null) return { text: null, encoding: "string" };
  if (typeof value === "string") return { text: value, encoding: "string" };
  if (typeof value === "boolean") return { text: String(value), encoding: "boolean" };
  if (!Number.isFinite(value)) throw invalid(sync, at, `field "${field}": JSON has no number ${value}`);
  return { text: String(value), encoding: "number" };
}

/** What `as` does to a text, null when it cannot be done; no function when the text stays as it is. */
function conversion(as: As | null): ((text: string) => string | null) | null {
  if (as === "number") return toJsonNumber;
  if (as === "boolean") return toJsonBoolean;
  if (as === "json") return (text) => (isJson(text) ? text : null);
  return null;
}
