import type { Delivery, Outcome } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { jsonString } from "../../contracts/json-string.ts";
import { UNCHANGED } from "../../contracts/values.ts";
import type { Operation, Operations, Place, VendorField, VendorFields } from "../../kit/vendor/definition.ts";
import { memberList, memberText } from "../../kit/vendor/json.ts";
import { allDelivered, matchText } from "../../kit/vendor/outcomes.ts";
import { RecordText } from "../../kit/vendor/record-text.ts";
import type { Call, Session } from "../../kit/vendor/session.ts";
import { valueOf } from "./track.ts";

const ITEMS = 50;

const TYPES: Readonly<Record<string, VendorField["type"]>> = {
  string: "string",
  number: "number",
  boolean: "boolean",
  time: "datetime",
  object: "json",
  array: "array",
};

export async function catalogFields({ object }: Place, session: Session): Promise<VendorFields> {
  const name = nameOf(object);
  const answer = await session.request({ method: "GET", path: "/catalogs" });
  const catalog = memberList(answer.object(), "catalogs").find((each) => memberText(each, "name") === name);
  if (catalog === undefined) throw new TailraceError("destination.config", `Braze has no catalog \`${name}\``);
  const fields = memberList(catalog, "fields").map((field): VendorField => {
    const own = memberText(field, "name") ?? "";
    return {
      name: own,
      type: TYPES[memberText(field, "type") ?? ""] ?? "any",
      unique: own === "id",
      required: own === "id",
    };
  });
  return { fields, open: false };
}

export function catalogOperations({ object }: Place): Operations {
  const path = `/catalogs/${encodeURIComponent(nameOf(object))}/items`;
  const item = new RecordText((field) => ({ value: field.name === "id" ? "text" : valueOf(field), null: "null" }));
  const send = async (
    method: Call["method"],
    rows: readonly Delivery[],
    itemOf: (row: Delivery) => string,
    session: Session,
  ): Promise<void> => {
    const body = `{"items":[${rows.map(itemOf).join(",")}]}`;
    const answer = await session.request({ method, path, body });
    if (answer.status !== 202 || memberText(answer.object(), "message") !== "success")
      throw new TailraceError("destination.unknown", `Braze answered ${answer.status}, and not that it took the items`);
  };
  const allBy = (method: Call["method"], itemOf: (row: Delivery) => string): Operation => ({
    rows: ITEMS,
    async send(rows, session): Promise<readonly Outcome[]> {
      await send(method, rows, itemOf, session);
      return allDelivered(rows);
    },
  });
  const whole = (row: Delivery): string => item.object(row.record);
  const edit = allBy("PATCH", whole);
  return {
    upsert: {
      rows: ITEMS,
      // Putting an item makes it, and empties what is not named: of rows that are not whole, only what was sent is edited.
      async send(rows, session) {
        const parts = rows.filter(({ record }) => record.values.includes(UNCHANGED));
        const wholes = rows.filter((row) => !parts.includes(row));
        if (wholes.length > 0) await send("PUT", wholes, whole, session);
        if (parts.length > 0) await send("PATCH", parts, whole, session);
        return allDelivered(rows);
      },
    },
    update: edit,
    archive: edit,
    clear: edit,
    delete: allBy("DELETE", (row) => `{"id":${jsonString(matchText(row))}}`),
  };
}

function nameOf(object: string): string {
  return object.slice("catalogs/".length);
}
