// Deliveries as the engine would make them, for tests of destinations.
import type { Delivery, DeliveryOp, Field, MappedRecord, Shape } from "../../src/contracts/destination.ts";
import type { Relation } from "../../src/contracts/relation.ts";
import { UNCHANGED, type Value, type Values } from "../../src/contracts/values.ts";

/** `{ id: "bigint", name: "text" }`, or whole fields. The JSON kind follows from the type's name. */
export type Fields = readonly Field[] | Readonly<Record<string, string>>;

export function shapeOf(fields: Fields): Shape {
  if (Array.isArray(fields)) return { fields: fields as readonly Field[] };
  return { fields: Object.entries(fields).map(([name, type]) => ({ name, type, json: jsonKind(type) })) };
}

export function recordOf(shape: Shape, values: Values): MappedRecord {
  if (values.length !== shape.fields.length)
    throw new Error(`${values.length} values for ${shape.fields.length} fields`);
  const fieldJson = (index: number): string => {
    const value = values[index];
    if (value === UNCHANGED || value === undefined) throw new Error(`field ${index} is left out`);
    if (value === null) return "null";
    const kind = shape.fields[index]!.json;
    if (kind === "string") return JSON.stringify(value);
    if (kind === "number" && !/^-?\d+(\.\d+)?([eE][-+]?\d+)?$/.test(value)) return JSON.stringify(value);
    return value;
  };
  const json = (): string => {
    const members: string[] = [];
    for (const [index, field] of shape.fields.entries()) {
      if (values[index] !== UNCHANGED) members.push(`${JSON.stringify(field.name)}:${fieldJson(index)}`);
    }
    return `{${members.join(",")}}`;
  };
  return { shape, values, json, fieldJson };
}

export interface DeliverySpec {
  readonly op?: DeliveryOp | undefined;
  /** Share one `Shape` between deliveries, as the engine does, or give its fields. */
  readonly shape?: Shape | undefined;
  readonly fields?: Fields | undefined;
  readonly values: Values;
  /** Names of the match fields; default: the first field. */
  readonly matchFields?: readonly string[] | undefined;
  /** Default: the values of `matchFields`. */
  readonly match?: readonly Value[] | undefined;
  /** Default: the match values. */
  readonly key?: readonly string[] | undefined;
  readonly old?: Values | null | undefined;
  readonly change?: Delivery["change"] | undefined;
  readonly sync?: string | undefined;
  /** Default: grows with every call. */
  readonly position?: string | undefined;
  readonly committedAt?: bigint | null | undefined;
  readonly attempt?: number | undefined;
  readonly relation?: Relation | undefined;
}

let ordinal = 0;

/** One delivery; everything but the values has a default. Each call gets a new position, and so a new id. */
export function delivery(spec: DeliverySpec): Delivery {
  const shape = spec.shape ?? shapeOf(spec.fields ?? []);
  const names = spec.matchFields ?? [shape.fields[0]?.name ?? ""];
  const match =
    spec.match ?? names.map((name) => spec.values[shape.fields.findIndex((field) => field.name === name)] ?? null);
  ordinal += 1;
  const position = spec.position ?? `0000000001000000-${ordinal.toString(36).padStart(8, "0")}`;
  const op = spec.op ?? "upsert";
  return {
    id: `${spec.sync ?? "test"}-${position}`,
    op,
    key: spec.key ?? match.map((value) => (typeof value === "string" ? value : "")),
    match,
    record: recordOf(shape, spec.values),
    old: spec.old === undefined || spec.old === null ? null : recordOf(shape, spec.old),
    change:
      spec.change ??
      (op === "delete" || op === "archive" || op === "clear" ? "delete" : op === "update" ? "update" : "insert"),
    position,
    committedAt: spec.committedAt === undefined ? 1_700_000_000_000_000n + BigInt(ordinal) : spec.committedAt,
    attempt: spec.attempt ?? 1,
    bytes: spec.values.reduce<number>((sum, value) => sum + 8 + (typeof value === "string" ? value.length : 4), 0),
    relation: spec.relation ?? relationOf(shape, names),
  };
}

/** A relation whose columns are the shape's fields. */
export function relationOf(shape: Shape, key: readonly string[]): Relation {
  return {
    id: "1",
    namespace: "public",
    name: "test",
    version: 1,
    columns: shape.fields.map((field) => ({
      name: field.name,
      type: field.type ?? "text",
      json: field.json === "array" ? (text: string) => text : field.json,
      comparison: field.json === "number" ? "number" : field.json === "boolean" ? "boolean" : "text",
      nullable: !key.includes(field.name),
    })),
    key: key.map((name) => shape.fields.findIndex((field) => field.name === name)),
    oldRows: "key",
  };
}

function jsonKind(type: string): Field["json"] {
  if (type.endsWith("[]")) return "array";
  if (/^(smallint|integer|bigint|real|double precision|numeric|int[248]|float[48])/.test(type)) return "number";
  if (type === "boolean") return "boolean";
  if (type === "json" || type === "jsonb") return "json";
  return "string";
}
