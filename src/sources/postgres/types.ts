// What a column's type says about its texts. A value arrives as its type's output function prints it, from the log
// and from our queries alike (both ask for plain columns); `normalise` makes that what `column::text` would print.
import type pg from "pg";
import type { Column, Comparison, JsonEncoding } from "../../contracts/relation.ts";
import { type ElementJson, arrayJson } from "./arrays.ts";
import { asSourceError } from "./source-error.ts";

/** A type as far as its texts go: domains are their base type here. */
export interface TypeInfo {
  /** The OID that was asked for; a domain's own. */
  readonly oid: number;
  /** The base type's name, as SQL, without modifiers: `timestamp with time zone`, `public.mood`. */
  readonly name: string;
  /** The base type's OID; the same as `oid` unless it is a domain. */
  readonly baseOid: number;
  /** Of an array: its elements. */
  readonly element: TypeInfo | null;
  /** What stands between two elements in an array of this type. */
  readonly delimiter: string;
}

/** Makes the output function's text that of a cast to `text`. */
export type Normalise = (text: string) => string;

const BOOL = 16;
const BPCHAR = 1042;
const INET = 869;
// int8, int2, int4, oid, float4, float8, numeric
const NUMBERS: ReadonlySet<number> = new Set([20, 21, 23, 26, 700, 701, 1700]);
// json, jsonb
const JSON_TYPES: ReadonlySet<number> = new Set([114, 3802]);

// The types whose cast to text is a function of its own (pg_cast): bool, bpchar, inet, cidr, name, "char". The last three
// print the same either way.
const NORMALISE: Readonly<Record<number, Normalise>> = {
  [BOOL]: (text) => (text === "t" ? "true" : text === "f" ? "false" : text),
  [BPCHAR]: (text) => {
    let end = text.length;
    while (end > 0 && text.charCodeAt(end - 1) === 0x20) end -= 1;
    return end === text.length ? text : text.slice(0, end);
  },
  [INET]: (text) => (text.includes("/") ? text : `${text}/${text.includes(":") ? "128" : "32"}`),
};

/** A column of this type, and what its texts need before they are those of `column::text`; null: nothing. */
export function columnFor(
  type: TypeInfo,
  name: string,
  notNull: boolean,
): { readonly column: Column; readonly normalise: Normalise | null } {
  const base = type.baseOid;
  return {
    column: { name, type: type.name, json: jsonFor(type), comparison: comparisonFor(base), nullable: !notNull },
    normalise: NORMALISE[base] ?? null,
  };
}

function jsonFor(type: TypeInfo): JsonEncoding {
  if (NUMBERS.has(type.baseOid)) return "number";
  if (type.baseOid === BOOL) return "boolean";
  if (JSON_TYPES.has(type.baseOid)) return "json";
  if (type.element) return arrayJson(elementJson(type.element), type.element.delimiter);
  return "string";
}

/** An array holds its elements as their output function prints them: a bool as `t`. */
function elementJson(type: TypeInfo): ElementJson {
  const json = jsonFor(type);
  if (typeof json === "function") return json;
  switch (json) {
    case "number":
      // NaN and the infinities are the only ones with a letter in front.
      return (text) => (/^-?[0-9]/.test(text) ? text : JSON.stringify(text));
    case "boolean":
      return (text) => (text === "t" ? "true" : text === "f" ? "false" : JSON.stringify(text));
    case "json":
      // Outside of its strings, where a line break is always escaped, it is white space; and it would break NDJSON.
      return (text) => (/[\n\r]/.test(text) ? text.replaceAll(/[\n\r]/g, " ") : text);
    default:
      return (text) => JSON.stringify(text);
  }
}

function comparisonFor(oid: number): Comparison {
  return NUMBERS.has(oid) ? "number" : oid === BOOL ? "boolean" : "text";
}

interface TypeRow {
  readonly oid: string;
  readonly name: string;
  readonly base: string;
  readonly element: string;
  readonly delimiter: string;
}

// Only the types that are asked for and what they are made of: trouble with others is none of ours. An array is what
// `array_out` prints; int2vector and such have elements too, and print otherwise.
const TYPES = `
  WITH RECURSIVE wanted (oid) AS (
    SELECT t.oid FROM pg_catalog.pg_type t WHERE t.oid = ANY ($1::oid[])
    UNION
    SELECT part.oid
      FROM wanted w
      JOIN pg_catalog.pg_type t ON t.oid = w.oid
     CROSS JOIN LATERAL (VALUES
       (t.typbasetype),
       (CASE WHEN t.typoutput = 'pg_catalog.array_out'::regproc THEN t.typelem ELSE 0::oid END)) AS part (oid)
     WHERE part.oid <> 0
  )
  SELECT t.oid::text, format_type(t.oid, NULL) AS name, t.typbasetype::text AS base, t.typdelim::text AS delimiter,
         (CASE WHEN t.typoutput = 'pg_catalog.array_out'::regproc THEN t.typelem ELSE 0::oid END)::text AS element
    FROM wanted w JOIN pg_catalog.pg_type t ON t.oid = w.oid`;

/**
 * The types with these OIDs, through domains and arrays. An OID that the database does not know (a type that was dropped
 * since) is in the answer too: its texts are strings. Throws the source's errors.
 */
export async function loadTypes(client: pg.Client, oids: Iterable<number>): Promise<Map<number, TypeInfo>> {
  const wanted = [...new Set(oids)];
  let rows: TypeRow[];
  try {
    ({ rows } = await client.query<TypeRow>(TYPES, [wanted]));
  } catch (error) {
    throw asSourceError(error);
  }
  const byOid = new Map(rows.map((row) => [Number(row.oid), row]));
  return new Map(wanted.map((oid) => [oid, typeFrom(byOid, oid, oid)]));
}

function typeFrom(byOid: ReadonlyMap<number, TypeRow>, oid: number, asked: number): TypeInfo {
  const row = byOid.get(oid);
  if (!row) return { oid: asked, name: "unknown", baseOid: oid, element: null, delimiter: "," };
  if (row.base !== "0") return typeFrom(byOid, Number(row.base), asked);
  const element = Number(row.element);
  return {
    oid: asked,
    name: row.name,
    baseOid: oid,
    element: element === 0 ? null : typeFrom(byOid, element, element),
    delimiter: row.delimiter,
  };
}
