import type { Field, MappedRecord } from "../../contracts/destination.ts";
import { jsonString } from "../../contracts/json-string.ts";
import { flatItems } from "../../kit/vendor/json.ts";
import type { FieldText } from "../../kit/vendor/record-text.ts";
import { isoTime } from "../../kit/vendor/times.ts";
import { relatedField, type SalesforceField } from "./schema.ts";

const NUMBERS = /^(int|long|double|currency|percent)$/;
const NUMBER = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;

type Fields = ReadonlyMap<string, SalesforceField>;

/** What Salesforce wants in place of a value's text. */
export function salesforceText(field: Field, fields: Fields) {
  const type = fields.get(field.name)?.type;
  return (text: string, record: MappedRecord, index: number): string => {
    if (field.json === "array" && type !== undefined) return flatItems(record.fieldJson(index)).join(";");
    // Salesforce keeps seconds, and takes milliseconds.
    if (type === "datetime") return isoTime(text).replace(/(\.\d{3})\d+/, "$1");
    if (type === "date") return text.replace(/^(\d{4}-\d\d-\d\d)[ T].*$/, "$1");
    return text;
  };
}

/** A text field takes JSON strings only, and a number field numbers only, whatever the column's type is. */
export function jsonField(field: Field, fields: Fields): FieldText {
  const theirs = fields.get(field.name);
  const related = theirs === undefined ? relatedField(field.name, fields) : null;
  if (related !== null) {
    const by = jsonString(related.by);
    return {
      name: related.relationship,
      value: (_text, record, index) => `{${by}:${record.fieldJson(index)}}`,
      null: null,
    };
  }
  if (theirs === undefined) return { value: "json", null: "null" };
  const textOf = salesforceText(field, fields);
  const bare = NUMBERS.test(theirs.type) ? NUMBER : theirs.type === "boolean" ? /^(true|false)$/ : null;
  return {
    value(value, record, index) {
      const text = textOf(value, record, index);
      return bare?.test(text) === true ? text : jsonString(text);
    },
    null: theirs.nillable ? "null" : null,
  };
}
