// What Snowflake's types are to us: which text a value is, and how it goes to JSON and back.
import type { Column, Comparison, JsonEncoding } from "../../contracts/relation.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import type { ResultColumn } from "./session.ts";

interface Kind {
  /** As destinations that make tables know it: the standard's name, or PostgreSQL's. */
  readonly name: string;
  readonly json: JsonEncoding;
  readonly comparison: Comparison;
}

const number = (name: string): Kind => ({ name, json: "number", comparison: "number" });
const text = (name: string): Kind => ({ name, json: "string", comparison: "text" });
const JSON_KIND: Kind = { name: "json", json: "json", comparison: "text" };

function kindOf({ type, precision, scale }: ResultColumn): Kind {
  switch (type) {
    case "fixed":
      return number(`numeric(${precision},${scale})`);
    case "decfloat":
      return number("numeric");
    case "real":
      return number("double precision");
    case "boolean":
      return { name: "boolean", json: "boolean", comparison: "boolean" };
    case "date":
      return text("date");
    case "time":
      return text("time without time zone");
    case "timestamp_ntz":
      return text("timestamp without time zone");
    case "timestamp_ltz":
    case "timestamp_tz":
      return text("timestamp with time zone");
    case "binary":
      return text("bytea");
    case "variant":
    case "object":
    case "array":
    case "map":
    case "geography":
    case "geometry":
    case "vector":
      return JSON_KIND;
    default:
      return text("text");
  }
}

export function columnOf(column: ResultColumn): Column {
  const { name, json, comparison } = kindOf(column);
  return { name: column.name, type: name, json, comparison, nullable: column.nullable };
}

/** Whether rows can be told apart, and read in order, by a column of this type. */
export function canBeKey({ type }: ResultColumn): boolean {
  return [
    "fixed",
    "text",
    "boolean",
    "date",
    "time",
    "timestamp_ntz",
    "timestamp_ltz",
    "timestamp_tz",
    "binary",
  ].includes(type);
}

/** SQL for a column's text. Texts are made in Snowflake, so that the client library's numbers and dates have no part in it. */
export function textSql({ name, type, scale }: ResultColumn): string {
  const column = quoteIdentifier(name);
  const fraction = scale > 0 ? `.FF${scale}` : "";
  switch (type) {
    case "text":
      return column;
    case "date":
      return `TO_VARCHAR(${column}, 'YYYY-MM-DD')`;
    case "time":
      return `TO_VARCHAR(${column}, 'HH24:MI:SS${fraction}')`;
    case "timestamp_ntz":
      return `TO_VARCHAR(${column}, 'YYYY-MM-DD HH24:MI:SS${fraction}')`;
    case "timestamp_ltz":
    case "timestamp_tz":
      return `TO_VARCHAR(${column}, 'YYYY-MM-DD HH24:MI:SS${fraction} TZH:TZM')`;
    case "binary":
      return `CONCAT(CHR(92), 'x', LOWER(TO_VARCHAR(${column}, 'HEX')))`;
    case "variant":
    case "object":
    case "array":
    case "map":
      return `TO_JSON(${column})`;
    case "geography":
    case "geometry":
      return `TO_JSON(ST_ASGEOJSON(${column}))`;
    case "vector":
      return `TO_JSON(${column}::ARRAY)`;
    default:
      return `TO_VARCHAR(${column})`;
  }
}

/** SQL for the value that has the text that is bound at this place. */
export function valueSql({ type, precision, scale }: ResultColumn): string {
  switch (type) {
    case "fixed":
      return `CAST(? AS NUMBER(${precision},${scale}))`;
    case "text":
      return "?";
    case "binary":
      return "TO_BINARY(SUBSTR(?, 3), 'HEX')";
    default:
      return `CAST(? AS ${type.toUpperCase()})`;
  }
}
