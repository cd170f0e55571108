import type { Delivery, Field } from "../../contracts/destination.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { Operation, Operations, Place } from "../../kit/vendor/definition.ts";
import { oncePerRecord } from "../../kit/vendor/once-per-record.ts";
import { matchText } from "../../kit/vendor/outcomes.ts";
import { type FieldText, RecordText } from "../../kit/vendor/record-text.ts";
import { isTimestamp, unixSeconds } from "../../kit/vendor/times.ts";
import { batchOf } from "./batch.ts";
import { eventId, identifiers, objectPlace, personPlace, textOf } from "./identifiers.ts";
import type { CustomerioOptions, CustomerioSettings } from "./settings.ts";

type CustomerioPlace = Place<CustomerioSettings, CustomerioOptions>;

export function people({ target }: CustomerioPlace): Operations {
  const place = personPlace(target);
  const attributes = attributesBut(target.match);
  const batch = batchOf((row) => {
    const who = `{"type":"person","identifiers":${identifiers(target, place, row)}`;
    if (row.op === "delete") return `${who},"action":"delete"}`;
    const members = attributes.members(row.record);
    if (row.op === "upsert") return `${who},"action":"identify","attributes":{${members}}}`;
    // Of those who are there.
    return `${who},"action":"identify","attributes":{"_update":true${members === "" ? "" : `,${members}`}}}`;
  });
  // Addresses that differ in case are one person.
  const byEmail = target.match[place] === "email";
  const recordOf = (row: Delivery): string => (byEmail ? textOf(row, place).toLowerCase() : textOf(row, place));
  const each: Operation = {
    rows: batch.rows,
    send: (rows, session) => oncePerRecord(rows, recordOf, (first) => batch.send(first, session)),
  };
  return { upsert: each, update: each, archive: each, clear: each, delete: each };
}

export function events({ target, options }: CustomerioPlace): Operations {
  const place = personPlace(target);
  const own = options.event === undefined ? ["name", "timestamp"] : ["timestamp"];
  const attributes = attributesBut([...target.match, ...own]);
  const names = new RecordText(({ name }) => (name === "name" ? { value: "text", null: '""' } : null));
  const times = new RecordText(({ name }) => (name === "timestamp" ? { value: seconds, null: null } : null));
  const always = options.event === undefined ? null : `"name":${jsonString(options.event)}`;
  const batch = batchOf((row) => {
    const { record, committedAt } = row;
    const name = always ?? names.members(record);
    const time = times.members(record) || (committedAt === null ? "" : `"timestamp":${committedAt / 1_000_000n}`);
    const what = [`"id":"${eventId(row)}"`, name, time].filter((member) => member !== "").join(",");
    return `{"type":"person","identifiers":${identifiers(target, place, row)},"action":"event",${what},"attributes":${attributes.object(record)}}`;
  });
  return { event: batch };
}

export function objects({ object, target }: CustomerioPlace): Operations {
  const byOwnId = target.match[0] === "cio_object_id";
  const type = typeOf(object);
  const attributes = attributesBut(target.match);
  const batch = batchOf((row) => {
    const id = byOwnId ? `{"cio_object_id":${jsonString(matchText(row))}}` : objectId(type, matchText(row));
    const what = `{"type":"object","identifiers":${id}`;
    if (row.op === "delete") return `${what},"action":"delete"}`;
    return `${what},"action":"identify","attributes":${attributes.object(row.record)}}`;
  });
  return { upsert: batch, delete: batch };
}

export function relationships({ object, target }: CustomerioPlace): Operations {
  const person = personPlace(target);
  const other = objectPlace(target);
  const type = typeOf(object);
  const attributes = attributesBut(target.match);
  const batch = batchOf((row) => {
    const gone = row.op === "delete";
    const related = `"identifiers":${objectId(type, textOf(row, other))}`;
    const more = gone ? "" : `,"relationship_attributes":${attributes.object(row.record)}`;
    const action = gone ? "delete_relationships" : "add_relationships";
    return `{"type":"person","identifiers":${identifiers(target, person, row)},"action":"${action}","cio_relationships":[{${related}${more}}]}`;
  });
  return { upsert: batch, delete: batch };
}

/** `objects/1` → `1` */
function typeOf(object: string): string {
  return object.slice(object.indexOf("/") + 1);
}

function objectId(type: string, id: string): string {
  return `{"object_type_id":${jsonString(type)},"object_id":${jsonString(id)}}`;
}

function attributesBut(left: readonly string[]): RecordText {
  return new RecordText((field) => (left.includes(field.name) ? null : { value: valueOf(field), null: "null" }));
}

/** What Customer.io takes for a time is in seconds. */
function valueOf({ type }: Field): FieldText["value"] {
  return isTimestamp(type) ? seconds : "json";
}

function seconds(text: string): string {
  return unixSeconds(text) ?? jsonString(text);
}
