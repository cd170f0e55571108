import type { Field, MappedRecord, Shape } from "../../contracts/destination.ts";
import { jsonString } from "../../contracts/json-string.ts";
import { type FieldText, RecordText } from "../../kit/vendor/record-text.ts";
import { isTimestamp, isoTime } from "../../kit/vendor/times.ts";
import type { Kind } from "./fields.ts";

const CUSTOM = "custom_fields.";

/** Records as Zendesk's objects: `user_fields.plan` is `"user_fields":{"plan":…}`, `custom_fields.17` is `"custom_fields":[{"id":17,"value":…}]`. */
export class ZendeskText {
  readonly #kind: Kind;
  readonly #top: RecordText;
  readonly #nested: readonly { readonly name: string; readonly text: RecordText }[];
  readonly #custom: readonly { readonly id: string; readonly text: RecordText }[];

  constructor(kind: Kind, shape: Shape) {
    this.#kind = kind;
    const names = shape.fields.map(({ name }) => name);
    const prefixes = new Set(
      names.flatMap((name) => (name.includes(".") ? [name.slice(0, name.indexOf(".") + 1)] : [])),
    );
    this.#top = new RecordText((field) =>
      field.name.includes(".") || field.name === "id" ? null : this.#field(field, ""),
    );
    this.#nested = [...prefixes]
      .filter((prefix) => prefix !== CUSTOM)
      .map((prefix) => ({ name: prefix.slice(0, -1), text: this.#of((name) => name.startsWith(prefix), prefix) }));
    this.#custom = names
      .filter((name) => name.startsWith(CUSTOM))
      .map((name) => ({ id: name.slice(CUSTOM.length), text: this.#of((other) => other === name, name) }));
  }

  /** `"name":"x","user_fields":{"plan":"pro"}` */
  members(record: MappedRecord): string {
    const parts = [this.#top.members(record)];
    for (const { name, text } of this.#nested) {
      const inner = text.members(record);
      if (inner !== "") parts.push(`${jsonString(name)}:{${inner}}`);
    }
    const custom = this.#custom.flatMap(({ id, text }) => {
      const value = text.members(record);
      return value === "" ? [] : [`{"id":${id},${value}}`];
    });
    if (custom.length > 0) parts.push(`"custom_fields":[${custom.join(",")}]`);
    return parts.filter((part) => part !== "").join(",");
  }

  /** The fields of a part; `prefix`: what is cut from their names. */
  #of(which: (name: string) => boolean, prefix: string): RecordText {
    return new RecordText((field) => (which(field.name) ? this.#field(field, prefix) : null));
  }

  #field(field: Field, prefix: string): FieldText {
    const { fields, required, notCleared } = this.#kind;
    const keeps = required.includes(field.name) || notCleared.includes(field.name);
    const text = fields[field.name] === "string" || fields[field.name] === "enum";
    return {
      name: field.name.slice(prefix.length) || "value",
      value: isTimestamp(field.type) ? (value) => jsonString(isoTime(value)) : text ? "text" : "json",
      null: keeps ? null : "null",
    };
  }
}
