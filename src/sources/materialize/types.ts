// What Materialize's types are to us, by the OIDs that a result's columns have. Values are the texts of the wire.
import type { FieldDef } from "pg";
import type { Column, Comparison, JsonEncoding } from "../../contracts/relation.ts";

interface Kind {
  readonly name: string;
  readonly json: JsonEncoding;
  readonly comparison: Comparison;
}

const number = (name: string): Kind => ({ name, json: "number", comparison: "number" });
const text = (name: string): Kind => ({ name, json: "string", comparison: "text" });

const BOOL = 16;
/** numeric's modifier is its precision and scale; what makes tables elsewhere takes it as it is without. */
const KINDS: Readonly<Record<number, Kind>> = {
  [BOOL]: { name: "boolean", json: "boolean", comparison: "boolean" },
  17: text("bytea"),
  20: number("bigint"),
  21: number("smallint"),
  23: number("integer"),
  26: number("oid"),
  700: number("real"),
  701: number("double precision"),
  1043: text("character varying"),
  1082: text("date"),
  1083: text("time without time zone"),
  1114: text("timestamp without time zone"),
  1184: text("timestamp with time zone"),
  1186: text("interval"),
  1700: number("numeric"),
  2950: text("uuid"),
  3802: { name: "jsonb", json: "json", comparison: "text" },
  // uint2, uint4, uint8, mz_timestamp: Materialize's own.
  16460: number("integer"),
  16462: number("bigint"),
  16464: number("numeric"),
  16552: number("numeric"),
};

/** Whether rows can be told apart, and read in order, by a column of this type. */
const NO_KEYS: ReadonlySet<number> = new Set([700, 701, 3802]);

export function columnOf({ name, dataTypeID }: FieldDef): Column {
  const { name: type, json, comparison } = kindOf(dataTypeID);
  return { name, type, json, comparison, nullable: true };
}

export function canBeKey({ dataTypeID }: FieldDef): boolean {
  return !NO_KEYS.has(dataTypeID);
}

/** Makes the wire's text that of a cast to `text`; only bool has two. */
export function textOf(value: string | null, { dataTypeID }: FieldDef): string | null {
  if (dataTypeID !== BOOL || value === null) return value;
  return value === "t" ? "true" : "false";
}

function kindOf(oid: number): Kind {
  return KINDS[oid] ?? text("text");
}
