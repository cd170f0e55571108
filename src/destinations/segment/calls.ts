import { hash, randomUUID } from "node:crypto";
import { DELIVERED, type Delivery, type Field, type Outcome } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { Operation, Operations, Place, VendorField, VendorFields } from "../../kit/vendor/definition.ts";
import { member } from "../../kit/vendor/json.ts";
import { Outcomes } from "../../kit/vendor/outcomes.ts";
import { type FieldText, RecordText } from "../../kit/vendor/record-text.ts";
import type { Session } from "../../kit/vendor/session.ts";
import { isTimestamp, isoTime } from "../../kit/vendor/times.ts";
import type { SegmentOptions, SegmentSettings } from "./settings.ts";

/** Segment takes 2500 in a batch, and says nothing of what is beyond. */
export const BATCH_ROWS = 1000;
const BATCH_BYTES = 500_000;
const CALL_BYTES = 32_768;

export type SegmentPlace = Place<SegmentSettings, SegmentOptions>;

const WHO = ["userId", "anonymousId"];

export function fields({ object, options }: SegmentPlace): VendorFields {
  const named: VendorField[] =
    object === "track" && options.event === undefined ? [{ name: "event", type: "string", required: true }] : [];
  const group: VendorField[] =
    object === "group" ? [{ name: "groupId", type: "string", unique: true, required: true }] : [];
  return {
    fields: [
      ...WHO.map((name): VendorField => ({ name, type: "string", unique: true })),
      ...group,
      ...named,
      { name: "timestamp", type: "datetime" },
      { name: "context", type: "json" },
      { name: "integrations", type: "json" },
      { name: "messageId", type: "string", readOnly: true },
    ],
    open: true,
  };
}

/**
 * https://www.twilio.com/docs/segment/connections/sources/catalog/libraries/server/http-api. Segment answers 200 before it looks at the calls,
 * and drops what has no user, no name, or is too large: that is looked at here.
 */
export function operations(place: SegmentPlace): Operations {
  const call = callsOf(place);
  const batch: Operation = {
    rows: BATCH_ROWS,
    async send(rows, session) {
      const calls = rows.map(call);
      const good = calls.filter((each) => typeof each === "string");
      const outcomes = good.length === 0 ? [] : await post(rows, calls, good, session);
      return calls.map((each, at) => (typeof each === "string" ? outcomes[at]! : each));
    },
  };
  return place.object === "track" ? { event: batch, create: batch } : { upsert: batch };
}

async function post(
  rows: readonly Delivery[],
  calls: readonly (string | Outcome)[],
  good: readonly string[],
  session: Session,
): Promise<readonly Outcome[]> {
  const body = Buffer.from(`{"batch":[${good.join(",")}]}`);
  if (body.length > BATCH_BYTES)
    throw new TailraceError("destination.too_large", `Segment takes ${BATCH_BYTES} bytes in one batch`);
  const answer = await session.request({ method: "POST", path: "/batch", body });
  const outcomes = new Outcomes(rows);
  if (member(answer.object(), "success") === true)
    for (const [at, each] of calls.entries()) if (typeof each === "string") outcomes.set(at, DELIVERED);
  return outcomes.whereSaid();
}

/** The call of a row as JSON, or why Segment would drop it. */
function callsOf({ object, options }: SegmentPlace): (row: Delivery) => string | Outcome {
  const own = new Set([...WHO, "timestamp", "context", "integrations", "messageId"]);
  if (object === "group") own.add("groupId");
  if (object === "track" && options.event === undefined) own.add("event");
  const inside = new RecordText((field) => (own.has(field.name) ? null : { value: valueOf(field), null: "null" }));
  const outside = new RecordText(({ name }) => {
    if (!own.has(name) || name === "messageId") return null;
    if (name === "context" || name === "integrations") return { value: "json", null: null };
    return { value: name === "timestamp" ? (text) => jsonString(isoTime(text)) : "text", null: null };
  });
  const needed = [...(object === "group" ? ["groupId"] : []), ...(own.has("event") ? ["event"] : [])];
  const always = options.event === undefined || object !== "track" ? "" : `"event":${jsonString(options.event)}`;
  const [type, holder] = [`"type":"${object}"`, object === "track" ? "properties" : "traits"];

  return (row) => {
    const missing =
      needed.find((name) => !has(row, name)) ?? (WHO.some((name) => has(row, name)) ? null : WHO.join(" or "));
    if (missing !== null) return rejected("destination.refused", `Segment drops a call without ${missing}`);
    const members = [
      type,
      `"messageId":"${messageId(row)}"`,
      always,
      timeOf(row),
      outside.members(row.record),
      `"${holder}":${inside.object(row.record)}`,
    ];
    const json = `{${members.filter((part) => part !== "").join(",")}}`;
    if (Buffer.byteLength(json) <= CALL_BYTES) return json;
    return rejected("destination.too_large", `Segment drops a call of more than ${CALL_BYTES} bytes`);
  };
}

/**
 * By which Segment drops repeats, of what happened. Not of a state: after a crash older versions can be sent again before the newest, which must not
 * be taken for a repeat then.
 */
function messageId({ id, op }: Delivery): string {
  return op === "upsert" ? randomUUID() : `tailrace-${hash("sha256", id, "hex").slice(0, 40)}`;
}

/** When the change was committed, where the row does not say. */
function timeOf(row: Delivery): string {
  if (row.committedAt === null || has(row, "timestamp")) return "";
  return `"timestamp":"${new Date(Number(row.committedAt / 1000n)).toISOString()}"`;
}

function has({ record: { shape, values } }: Delivery, name: string): boolean {
  const value = values[shape.fields.findIndex((field) => field.name === name)];
  return typeof value === "string" && value !== "";
}

function valueOf({ type }: Field): FieldText["value"] {
  return isTimestamp(type) ? (text) => jsonString(isoTime(text)) : "json";
}

function rejected(code: "destination.refused" | "destination.too_large", message: string): Outcome {
  return { status: "rejected", error: new TailraceError(code, message) };
}
