import { TailraceError } from "../../contracts/errors.ts";
import type { Place, VendorField, VendorFields } from "../../kit/vendor/definition.ts";
import { member, memberList, memberText } from "../../kit/vendor/json.ts";
import type { Session } from "../../kit/vendor/session.ts";
import type { HubSpotOptions, HubSpotSettings } from "./settings.ts";

const TYPES: Readonly<Record<string, VendorField["type"]>> = {
  string: "string",
  phone_number: "string",
  number: "number",
  bool: "boolean",
  date: "date",
  datetime: "datetime",
  enumeration: "enum",
};

/** The object's properties in this account, and the fields that only name records to associate with. */
export async function fields(
  { object, target, options }: Place<HubSpotSettings, HubSpotOptions>,
  session: Session,
): Promise<VendorFields> {
  const answer = await session.request({ method: "GET", path: `/crm/v3/properties/${encodeURIComponent(object)}` });
  const required = await requiredOf(object, session);
  const matched = target.match[0];
  const properties = memberList(answer.object(), "results").map((property): VendorField => {
    const name = memberText(property, "name") ?? "";
    const byId = name === "hs_object_id";
    return {
      name,
      type: TYPES[memberText(property, "type") ?? ""] ?? "any",
      // To match by it, it is mapped, and not written.
      readOnly:
        member(member(property, "modificationMetadata"), "readOnlyValue") === true && !(byId && matched === name),
      unique: byId || member(property, "hasUniqueValue") === true || (object === "contacts" && name === "email"),
      required: required.has(name),
    };
  });
  const associated = options.associate.map(({ field }): VendorField => ({ name: field, type: "any" }));
  return {
    fields: [...properties.filter(({ name }) => !associated.some((one) => one.name === name)), ...associated],
    open: false,
  };
}

/** Only custom objects have properties that must be given. */
async function requiredOf(object: string, session: Session): Promise<ReadonlySet<string>> {
  if (!isCustom(object)) return new Set();
  try {
    const answer = await session.request({ method: "GET", path: `/crm/v3/schemas/${encodeURIComponent(object)}` });
    return new Set(memberList(answer.object(), "requiredProperties").map(String));
  } catch (error) {
    // Without the scope for schemas, HubSpot itself will say what is missing.
    if (error instanceof TailraceError && error.code === "destination.auth") return new Set();
    throw error;
  }
}

export function isCustom(object: string): boolean {
  return /^(p\d*_[\w-]+|2-\d+)$/.test(object);
}
