import { jsonElements, jsonFields, jsonToText } from "./json-text.ts";

/** One row of a request, as the receiver understood it. */
export interface ReceivedRow {
  /** The delivery's id. */
  readonly id: string;
  /** One text, whatever the number of key columns: {@link keyText}. */
  readonly key: string;
  /** `upsert`, `delete`, … or what happened to the row: `insert`, `update`, `delete`. */
  readonly op: string;
  /** The row's version column; null where the row does not carry it (deletes). */
  readonly version: bigint | null;
  readonly position: string | null;
  /** null for a row that was read rather than changed (a backfill's). */
  readonly committedAt: string | null;
  /** Texts by field; a field that was left out is not in it. null: no record was sent. */
  readonly record: Readonly<Record<string, string | null>> | null;
}

export interface RequestHead {
  readonly method: string;
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

export type RowReader = (body: string, head: RequestHead) => readonly ReceivedRow[];

/** A key as one text: the text itself, or a JSON array of texts when there are several columns. */
export function keyText(parts: readonly string[]): string {
  return parts.length === 1 ? (parts[0] as string) : JSON.stringify(parts);
}

/**
 * Reads Tailrace's webhook envelope: one object, a JSON array of them, or NDJSON.
 * `versionField`: the record's field that holds the version.
 */
export function envelopeReader(versionField = "version"): RowReader {
  return (body, head) => {
    const text = body.trim();
    if (text === "") return [];
    return bodyElements(text).map((element) => readEnvelope(element, versionField, head));
  };
}

/** For bodies that are the bare record. The id comes from the `webhook-id` header, the op from the method. */
export function recordReader(keyFields: readonly string[], versionField = "version"): RowReader {
  return (body, head) => {
    const text = body.trim();
    if (text === "") return [];
    return bodyElements(text).map((element, index) => {
      const record = recordTexts(element);
      const id = head.headers["webhook-id"] ?? "";
      return {
        id: index === 0 ? id : `${id}#${index}`,
        key: keyText(keyFields.map((field) => record[field] ?? "")),
        op: head.method === "DELETE" ? "delete" : "upsert",
        version: versionOf(record, versionField),
        position: null,
        committedAt: null,
        record,
      };
    });
  };
}

function bodyElements(text: string): string[] {
  if (text.startsWith("[")) return jsonElements(text);
  return text.includes("\n") && isNdjson(text) ? text.split("\n").filter((line) => line.trim() !== "") : [text];
}

// A pretty-printed object has line breaks too, but its first line is not an object of its own.
function isNdjson(text: string): boolean {
  return text.slice(0, text.indexOf("\n")).trimEnd().endsWith("}");
}

function readEnvelope(text: string, versionField: string, head: RequestHead): ReceivedRow {
  const fields = jsonFields(text);
  const field = (name: string): string | null => {
    const json = fields.get(name);
    return json === undefined ? null : jsonToText(json);
  };
  const keyJson = fields.get("key");
  const recordJson = fields.get("record");
  const record = recordJson === undefined || recordJson === "null" ? null : recordTexts(recordJson);
  return {
    id: field("id") ?? head.headers["webhook-id"] ?? "",
    key: keyJson === undefined ? "" : readKey(keyJson),
    op: lastSegment(field("op") ?? field("type") ?? "upsert"),
    version: record === null ? null : versionOf(record, versionField),
    position: field("position"),
    committedAt: field("committed_at"),
    record,
  };
}

function readKey(json: string): string {
  if (json.startsWith("[")) return keyText(jsonElements(json).map((part) => jsonToText(part) ?? ""));
  if (json.startsWith("{")) return keyText([...jsonFields(json).values()].map((part) => jsonToText(part) ?? ""));
  return jsonToText(json) ?? "";
}

function lastSegment(type: string): string {
  return type.slice(type.lastIndexOf(".") + 1);
}

/** A JSON object as texts by field; without a prototype, because a column may be called `__proto__`. */
export function recordTexts(json: string): Record<string, string | null> {
  const record = Object.create(null) as Record<string, string | null>;
  for (const [name, value] of jsonFields(json)) record[name] = jsonToText(value);
  return record;
}

function versionOf(record: Readonly<Record<string, string | null>>, field: string): bigint | null {
  const text = record[field];
  return text !== undefined && text !== null && /^-?\d+$/.test(text) ? BigInt(text) : null;
}
