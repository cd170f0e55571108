// How a source's text becomes what a column takes.
import type { Field } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Encode } from "../../kit/table-writer/batch-plan.ts";
import type { TargetColumn } from "./table.ts";

const INTEGERS = new Set(
  "TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT BIGNUM".split(" "),
);

export function encoderOf(column: TargetColumn, field: Field | null): Encode<string> {
  const { name, type } = column;
  const isInteger = INTEGERS.has(type);
  const isArray = field?.json === "array";
  return (text, json) => {
    if (!text.isWellFormed())
      throw new TailraceError("destination.refused", `field "${name}" is not well-formed Unicode`);
    // An array's own syntax means nothing here.
    if (isArray) return json();
    // It would be rounded.
    if (isInteger && /\.\d*[1-9]/.test(text))
      throw new TailraceError(
        "destination.refused",
        `field "${name}" has a fraction, and its column takes whole numbers`,
      );
    return text;
  };
}

/** SQL for the value that a staged text is, in a column of this type. */
export function castSql(text: string, type: string): string {
  if (type === "VARCHAR") return text;
  // A cast alone would drop the offset.
  if (/^TIMESTAMP(_S|_MS|_NS)?$/.test(type)) return `CAST(CAST(${text} AS TIMESTAMP WITH TIME ZONE) AS ${type})`;
  if (type === "BLOB")
    return `CASE WHEN regexp_full_match(${text}, '\\\\x([0-9a-fA-F]{2})*') THEN unhex(substr(${text}, 3)) ELSE encode(${text}) END`;
  if (type.endsWith("]") || /^(STRUCT|MAP)\b/.test(type)) return `CAST(CAST(${text} AS JSON) AS ${type})`;
  return `CAST(${text} AS ${type})`;
}
