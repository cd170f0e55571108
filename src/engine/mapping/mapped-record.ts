import type { Field, MappedRecord, Shape } from "../../contracts/destination.ts";
import type { JsonEncoding } from "../../contracts/relation.ts";
import { UNCHANGED, type Value, type Values } from "../../contracts/values.ts";
import { jsonString } from "../../contracts/json-string.ts";
import { jsonNumber, jsonOnOneLine } from "./json-text.ts";

/** The shape of one relation version's records, with what writing them as JSON needs. Its records hold it by reference. */
export class RecordShape implements Shape {
  readonly fields: readonly Field[];
  readonly #encodings: readonly JsonEncoding[];
  /** `{"name":`, for the first field of an object. */
  readonly #opening: readonly string[];
  /** `,"name":`, for the others. */
  readonly #following: readonly string[];

  /** One encoding a field, of the texts in {@link MappedRecord.values}. */
  constructor(fields: readonly Field[], encodings: readonly JsonEncoding[]) {
    this.fields = fields;
    this.#encodings = encodings;
    this.#opening = fields.map(({ name }) => `{${jsonString(name)}:`);
    this.#following = fields.map(({ name }) => `,${jsonString(name)}:`);
  }

  json(values: Values): string {
    const encodings = this.#encodings;
    let names = this.#opening;
    let text = "";
    for (let index = 0; index < encodings.length; index++) {
      const value = values[index] as Value;
      if (value === UNCHANGED) continue;
      text += names[index]! + encode(value, encodings[index]!);
      names = this.#following;
    }
    return text === "" ? "{}" : `${text}}`;
  }

  fieldJson(values: Values, index: number): string {
    const value = values[index];
    const encoding = this.#encodings[index];
    if (value === UNCHANGED || value === undefined || encoding === undefined) {
      throw new RangeError(
        `Field ${index} (${this.fields[index]?.name ?? "no such field"}) has no value in this record.`,
      );
    }
    return encode(value, encoding);
  }
}

function encode(value: string | null, encoding: JsonEncoding): string {
  if (value === null) return "null";
  if (encoding === "string") return jsonString(value);
  if (encoding === "number") return jsonNumber(value);
  if (encoding === "boolean") return value;
  if (encoding === "json") return jsonOnOneLine(value);
  return jsonOnOneLine(encoding(value));
}

/** A row as the destination wants it: two references, and JSON only when asked. */
export class ShapedRecord implements MappedRecord {
  readonly shape: RecordShape;
  readonly values: Values;

  constructor(shape: RecordShape, values: Values) {
    this.shape = shape;
    this.values = values;
  }

  json(): string {
    return this.shape.json(this.values);
  }

  fieldJson(index: number): string {
    return this.shape.fieldJson(this.values, index);
  }
}
