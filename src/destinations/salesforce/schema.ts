import type { VendorField } from "../../kit/vendor/definition.ts";
import { member, memberList, memberText } from "../../kit/vendor/json.ts";
import type { Session } from "../../kit/vendor/session.ts";
import type { SalesforceSettings } from "./settings.ts";

export const RECORD_ID = "Id";

/** https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_describesobjects_describesobjectresult.htm */
export interface SalesforceField {
  readonly name: string;
  /** `string`, `double`, `multipicklist`… */
  readonly type: string;
  readonly createable: boolean;
  readonly updateable: boolean;
  readonly nillable: boolean;
  readonly defaultedOnCreate: boolean;
  /** Can be used to find the record of an upsert. */
  readonly idLookup: boolean;
  readonly caseSensitive: boolean;
  /** Of a reference: the name by which the other record's fields are spoken of. */
  readonly relationship: string | null;
}

export function apiPath({ api_version }: SalesforceSettings): string {
  return `/services/data/v${api_version}`;
}

/** An object's fields as the connected user may see them, by name; asked for once, by whichever of its writes comes first. */
export class ObjectSchema {
  readonly #path: string;
  #fields: Promise<ReadonlyMap<string, SalesforceField>> | null = null;

  constructor(settings: SalesforceSettings, object: string) {
    this.#path = `${apiPath(settings)}/sobjects/${encodeURIComponent(object)}/describe`;
  }

  async fields(session: Session): Promise<ReadonlyMap<string, SalesforceField>> {
    this.#fields ??= this.#describe(session);
    const asking = this.#fields;
    try {
      return await asking;
    } catch (error) {
      if (this.#fields === asking) this.#fields = null;
      throw error;
    }
  }

  async #describe(session: Session): Promise<ReadonlyMap<string, SalesforceField>> {
    const answer = await session.request({ method: "GET", path: this.#path });
    const described = memberList(answer.object(), "fields").map((field) => fieldOf(field));
    return new Map(described.map((field) => [field.name, field]));
  }
}

function fieldOf(described: unknown): SalesforceField {
  const is = (name: string): boolean => member(described, name) === true;
  return {
    name: memberText(described, "name") ?? "",
    type: memberText(described, "type") ?? "",
    createable: is("createable"),
    updateable: is("updateable"),
    nillable: is("nillable"),
    defaultedOnCreate: is("defaultedOnCreate"),
    idLookup: is("idLookup") || is("externalId"),
    caseSensitive: is("caseSensitive"),
    relationship: memberText(described, "relationshipName") ?? null,
  };
}

const TYPES: Readonly<Record<string, VendorField["type"]>> = {
  boolean: "boolean",
  int: "number",
  long: "number",
  double: "number",
  currency: "number",
  percent: "number",
  date: "date",
  datetime: "datetime",
  picklist: "enum",
  multipicklist: "enum",
  anyType: "any",
};

/** As `check` wants a field. `matched`: records are found by it. */
export function vendorField(field: SalesforceField, mode: string, matched: boolean): VendorField {
  const { name, type, createable, updateable, nillable, defaultedOnCreate, idLookup } = field;
  const written = mode === "insert" ? createable : mode === "update" ? updateable : createable || updateable;
  return {
    name,
    type: TYPES[type] ?? "string",
    readOnly: !written && !matched,
    required: createable && !nillable && !defaultedOnCreate && type !== "boolean",
    clearable: nillable,
    unique: idLookup || name === RECORD_ID,
  };
}

/** `Account.External__c`: the record that a reference is to, by a field of its own. null: it is none of the object's. */
export function relatedField(
  name: string,
  fields: ReadonlyMap<string, SalesforceField>,
): { readonly relationship: string; readonly by: string } | null {
  const [relationship, by, ...more] = name.split(".");
  if (relationship === undefined || by === undefined || more.length > 0) return null;
  for (const field of fields.values()) if (field.relationship === relationship) return { relationship, by };
  return null;
}
