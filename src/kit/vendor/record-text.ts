import type { Field, MappedRecord, Shape } from "../../contracts/destination.ts";
import { jsonString } from "../../contracts/json-string.ts";
import { UNCHANGED } from "../../contracts/values.ts";

/** How one field is written. */
export interface FieldText {
  /** Its name at the vendor; default: the field's own. */
  readonly name?: string;
  /**
   * `json`: as its type has it (`12.50`, `true`, `["a"]`). `text`: always a JSON string. A function makes JSON of the value's text, which
   * is as the source prints it, or null: the field is left out.
   */
  readonly value: "json" | "text" | ((text: string, record: MappedRecord, index: number) => string | null);
  /** What a null becomes: JSON (`null`, `""`); null: the field is left out. */
  readonly null: string | null;
}

interface Compiled {
  readonly index: number;
  readonly opening: string;
  readonly field: FieldText;
}

/** Writes records as JSON objects, compiled once for each shape. Row data is appended as text, never parsed. */
export class RecordText {
  readonly #fieldOf: (field: Field) => FieldText | null;
  #shape: Shape | null = null;
  #compiled: readonly Compiled[] = [];

  /** `fieldOf` null: the field is no part of the object. */
  constructor(fieldOf: (field: Field) => FieldText | null) {
    this.#fieldOf = fieldOf;
  }

  /** `{"a":1,"b":"x"}` */
  object(record: MappedRecord): string {
    return `{${this.members(record)}}`;
  }

  /** `"a":1,"b":"x"`; empty when there is none. */
  members(record: MappedRecord): string {
    if (record.shape !== this.#shape) this.#compile(record.shape);
    const { values } = record;
    let text = "";
    for (const { index, opening, field } of this.#compiled) {
      const value = values[index];
      if (value === UNCHANGED || value === undefined) continue;
      const json = value === null ? field.null : fieldJson(field, value, record, index);
      if (json !== null) text += (text === "" ? opening : `,${opening}`) + json;
    }
    return text;
  }

  #compile(shape: Shape): void {
    this.#shape = shape;
    this.#compiled = shape.fields.flatMap((declared, index) => {
      const field = this.#fieldOf(declared);
      return field === null ? [] : [{ index, opening: `${jsonString(field.name ?? declared.name)}:`, field }];
    });
  }
}

function fieldJson(field: FieldText, value: string, record: MappedRecord, index: number): string | null {
  if (field.value === "text") return jsonString(value);
  if (field.value === "json") return record.fieldJson(index);
  return field.value(value, record, index);
}
