import { DELIVERED, type Delivery, type Field, type Target } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { Operation, Operations, Place, VendorField, VendorFields } from "../../kit/vendor/definition.ts";
import { member, memberText } from "../../kit/vendor/json.ts";
import { oncePerRecord } from "../../kit/vendor/once-per-record.ts";
import { oneRequest, requestEach } from "../../kit/vendor/operation.ts";
import { matchText } from "../../kit/vendor/outcomes.ts";
import { type FieldText, RecordText } from "../../kit/vendor/record-text.ts";
import type { Session } from "../../kit/vendor/session.ts";
import { isoTime, isTimestamp } from "../../kit/vendor/times.ts";
import { folded, readCounted } from "./counted.ts";
import { NOT_THERE } from "./errors.ts";
import type { IterableOptions, IterableSettings } from "./settings.ts";

export type IterablePlace = Place<IterableSettings, IterableOptions>;

export const BATCH_ROWS = 1000;

/** What finds a user. @throws TailraceError `destination.config` */
export function userBy({ match }: Target): "email" | "userId" {
  const [by] = match;
  if (by === "email" || by === "userId") return by;
  throw new TailraceError(
    "destination.config",
    "Iterable finds users by `email` or `userId`: set `match` to one of them",
  );
}

export function users({ target, options }: IterablePlace): Operations {
  const by = userBy(target);
  const fields = new RecordText((field) => (field.name === by ? null : { value: valueOf(field), null: "null" }));
  // Of a project whose users have addresses, a user who only has an id is made only when that is asked for.
  const more = by === "userId" ? `,"preferUserId":true` : "";
  const create = options.create_fields ? `,"createNewFields":true` : "";
  const bulk = oneRequest({
    rows: BATCH_ROWS,
    call(rows) {
      const each = rows.map(
        (row) => `{"${by}":${jsonString(matchText(row))}${more},"dataFields":${fields.object(row.record)}}`,
      );
      return { method: "POST", path: "/api/users/bulkUpdate", body: `{"users":[${each.join(",")}]${create}}` };
    },
    read: (answer, rows, session) => readCounted(answer, rows, identityBy(by), session),
  });
  const recordOf = (row: Delivery): string => (by === "email" ? folded(matchText(row)) : matchText(row));
  const upsert: Operation = {
    rows: BATCH_ROWS,
    send: (rows, session) => oncePerRecord(rows, recordOf, (first) => bulk.send(first, session)),
  };
  const remove = requestEach({
    call: (row) => ({
      method: "DELETE",
      path: `/api/users/${by === "email" ? "" : "byUserId/"}${encodeURIComponent(matchText(row))}`,
      accept: [400, 404],
    }),
    read(answer, row, session) {
      const code = memberText(answer.object(), "code") ?? "";
      if (NOT_THERE.has(code) || (answer.status === 200 && code === "Success")) return DELIVERED;
      return session.outcome(
        row,
        [code],
        memberText(answer.body(), "msg") ?? "",
        answer.status === 400 ? "row" : "unknown",
      );
    },
  });
  return { upsert, delete: remove };
}

/** A user's address and id, as far as the row has them. */
export function identityBy(by: "email" | "userId") {
  return (row: Delivery) => ({
    email: by === "email" ? (row.match[0] as string) : textOf(row, "email"),
    userId: by === "userId" ? (row.match[0] as string) : textOf(row, "userId"),
  });
}

export function textOf({ record }: Delivery, field: string): string | null {
  const value = record.values[record.shape.fields.findIndex(({ name }) => name === field)];
  return typeof value === "string" ? value : null;
}

/** Times are ISO 8601, in milliseconds. */
export function valueOf({ type }: Field): FieldText["value"] {
  return isTimestamp(type) ? (text) => jsonString(isoTime(text).replace(/(\.\d{3})\d+/, "$1")) : "json";
}

const TYPES: Readonly<Record<string, VendorField["type"]>> = {
  string: "string",
  long: "number",
  double: "number",
  boolean: "boolean",
  date: "datetime",
};

/** Fields of the project's users, by their types there. */
export async function userFields({ target, options }: IterablePlace, session: Session): Promise<VendorFields> {
  userBy(target);
  const answer = await session.request({ method: "GET", path: "/api/users/getFields" });
  const fields = fieldsOf(member(answer.object(), "fields"));
  const identifiers = ["email", "userId"].map((name): VendorField => ({ name, type: "string", unique: true }));
  const others = fields.filter(({ name }) => name !== "email" && name !== "userId");
  return { fields: [...identifiers, ...others], open: options.create_fields };
}

/** `{ "plan": "string" }`; a list may stand in any field. */
export function fieldsOf(types: unknown): VendorField[] {
  return Object.entries((types ?? {}) as Readonly<Record<string, unknown>>).map(([name, type]) => ({
    name,
    type: TYPES[String(type)] ?? "any",
  }));
}
