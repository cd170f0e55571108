import { type ReceivedRow, type RowReader, keyText, recordTexts } from "../../support/envelope.ts";
import { jsonElements, jsonFields, jsonToText } from "../../support/json-text.ts";

/** What it sends in place of a column that the log does not hold (an unchanged TOASTed value). */
const UNAVAILABLE = "__debezium_unavailable_value";

/**
 * Reads Debezium's envelopes (JSON without schemas), one or an array of them, into the rows that the oracle judges.
 * `keyFields`: the key's columns, which the HTTP sink does not send apart. `versionField`: the column that holds the version.
 *
 * Its envelopes have no id: one is made of what is the same on every replay, the row's place in the log, its op and its key.
 */
export function debeziumReader(keyFields: readonly string[], versionField = "version"): RowReader {
  return (body) => {
    const text = body.trim();
    if (text === "") return [];
    return (text.startsWith("[") ? jsonElements(text) : [text]).map((element) =>
      read(element, keyFields, versionField),
    );
  };
}

function read(text: string, keyFields: readonly string[], versionField: string): ReceivedRow {
  const envelope = jsonFields(text);
  const source = recordTexts(envelope.get("source") ?? "{}");
  const op = OPS[jsonToText(envelope.get("op") ?? "null") ?? ""] ?? "unknown";
  const image = recordTexts((op === "delete" ? envelope.get("before") : envelope.get("after")) ?? "{}");
  for (const [field, value] of Object.entries(image)) if (value === UNAVAILABLE) delete image[field];
  const key = keyText(keyFields.map((field) => image[field] ?? ""));
  const position = (source["lsn"] ?? "").padStart(20, "0");
  const version = image[versionField] ?? null;
  return {
    id: `${position}/${op}/${key}`,
    key,
    op,
    // Of a delete it sends the key, and nulls in the place of the other columns.
    version: op === "delete" || version === null ? null : BigInt(version),
    position,
    committedAt: op === "read" ? null : (source["ts_us"] ?? null),
    record: op === "delete" ? null : image,
  };
}

const OPS: Readonly<Record<string, string>> = { c: "insert", u: "update", d: "delete", r: "read" };
