import { randomUUID } from "node:crypto";
import { JsonNumber } from "../support/exact-json.ts";

export interface FieldSpec {
  readonly type:
    | "string"
    | "double"
    | "boolean"
    | "date"
    | "datetime"
    | "email"
    | "picklist"
    | "multipicklist"
    | "reference";
  /** Finds records, and two cannot have it. */
  readonly externalId?: boolean;
  /** An external id that several records may have. */
  readonly repeats?: boolean;
  readonly caseSensitive?: boolean;
  readonly required?: boolean;
  readonly readOnly?: boolean;
  /** Of texts; default: 255. */
  readonly length?: number;
  readonly options?: readonly string[];
  /** Of a reference: the object, and the relationship's name. */
  readonly to?: readonly [object: string, relationship: string];
}

export type Fields = Readonly<Record<string, FieldSpec>>;
export type Texts = Record<string, string | null>;

export interface Failure {
  readonly statusCode: string;
  readonly message: string;
  readonly fields: readonly string[];
}

type Saved = { readonly id: string; readonly created: boolean } | Failure;

/** One object of the org: its fields, its records, and what is refused of them. */
export class SalesforceObject {
  readonly name: string;
  readonly fields: Fields;
  readonly records = new Map<string, Texts>();
  /** Ids, or values of external ids, of records that somebody else holds a lock on. */
  readonly locked = new Set<string>();
  readonly #objectOf: (name: string) => SalesforceObject | undefined;

  constructor(name: string, fields: Fields, objectOf: (name: string) => SalesforceObject | undefined) {
    this.name = name;
    this.fields = { Id: { type: "string", readOnly: true }, ...fields };
    this.#objectOf = objectOf;
  }

  described(): unknown {
    const fields = Object.entries(this.fields).map(([name, spec]) => ({
      name,
      label: name,
      type: name === "Id" ? "id" : spec.type,
      length: spec.length ?? 255,
      createable: spec.readOnly !== true,
      updateable: spec.readOnly !== true,
      nillable: spec.required !== true && spec.type !== "boolean" && name !== "Id",
      defaultedOnCreate: spec.type === "boolean" || name === "Id",
      externalId: spec.externalId === true,
      idLookup: spec.externalId === true || name === "Id",
      unique: spec.externalId === true && spec.repeats !== true,
      caseSensitive: spec.caseSensitive === true,
      relationshipName: spec.to?.[1] ?? null,
      referenceTo: spec.to === undefined ? [] : [spec.to[0]],
    }));
    return { name: this.name, createable: true, updateable: true, fields };
  }

  /** What is wrong with a JSON record whatever its values mean: the whole request is refused for it. */
  deserialize(members: Readonly<Record<string, unknown>>): Failure | null {
    for (const [name, value] of Object.entries(members)) {
      if (this.#related(name) !== null) continue;
      const spec = this.fields[name];
      if (spec === undefined)
        return failure("INVALID_FIELD", `No such column '${name}' on sobject of type ${this.name}`, name);
      if (value === null) continue;
      const kind = value instanceof JsonNumber ? "double" : typeof value === "boolean" ? "boolean" : "string";
      const wanted = spec.type === "double" || spec.type === "boolean" ? spec.type : "string";
      if (kind !== wanted)
        return failure("JSON_PARSER_ERROR", `Cannot deserialize instance of ${spec.type} from ${kind} value`, name);
    }
    return null;
  }

  idsBy(field: string, value: string): string[] {
    const wanted = this.folded(field, value);
    return [...this.records]
      .filter(([, record]) => typeof record[field] === "string" && this.folded(field, record[field]) === wanted)
      .map(([id]) => id);
  }

  folded(field: string, value: string): string {
    const spec = this.fields[field];
    if (spec?.type === "double") return String(Number(value));
    return spec?.caseSensitive === true ? value : value.toLowerCase();
  }

  create(values: Texts): Saved {
    for (const [name, { required, readOnly }] of Object.entries(this.fields))
      if (required === true && readOnly !== true && (values[name] ?? "") === "")
        return failure("REQUIRED_FIELD_MISSING", `Required fields are missing: [${name}]`, name);
    const id = `001${randomUUID().replaceAll("-", "").slice(0, 15)}`;
    const empty = Object.entries(this.fields).filter(([, { type }]) => type === "boolean");
    const refused = this.#save(id, Object.fromEntries(empty.map(([name]) => [name, "false"])), values);
    return refused ?? { id, created: true };
  }

  update(id: string, values: Texts): Saved {
    const record = this.records.get(id);
    if (record === undefined) return failure("ENTITY_IS_DELETED", "entity is deleted");
    return this.#save(id, record, values) ?? { id, created: false };
  }

  upsert(externalId: string, values: Texts): Saved {
    if (this.fields[externalId]?.externalId !== true)
      return failure("INVALID_FIELD", `Provided external ID field does not exist or is not accessible: ${externalId}`);
    const key = (values[externalId] ?? "").trim();
    if (key === "") return failure("MISSING_ARGUMENT", `${externalId} not specified`, externalId);
    const [id, ...more] = this.idsBy(externalId, key);
    if (more.length > 0)
      return failure("DUPLICATE_EXTERNAL_ID", `${externalId}: more than one record found`, externalId);
    return id === undefined ? this.create(values) : this.update(id, values);
  }

  /** null: it is saved. */
  #save(id: string, before: Texts, values: Texts): Failure | null {
    const after = { ...before };
    for (const [name, given] of Object.entries(values)) {
      const related = this.#related(name.split(".")[0]!);
      if (related !== null) {
        const [parent] = this.#objectOf(related.to)!.idsBy(name.split(".")[1]!, given ?? "");
        if (parent === undefined)
          return failure("INVALID_FIELD", `Foreign key external ID: ${given} not found for field ${name}`, name);
        after[related.field] = parent;
        continue;
      }
      const spec = this.fields[name]!;
      const value = given === null || spec.type === "double" ? given : given.trim();
      const text = value === "" ? null : value;
      const refused =
        text === null
          ? spec.required === true
            ? failure("REQUIRED_FIELD_MISSING", name, name)
            : null
          : refusal(name, spec, text);
      if (refused !== null) return refused;
      if (
        text !== null &&
        spec.externalId === true &&
        spec.repeats !== true &&
        this.idsBy(name, text).some((other) => other !== id)
      )
        return failure(
          "DUPLICATE_VALUE",
          `duplicate value found: ${name} duplicates value on record with id: ${id}`,
          name,
        );
      if (text === null) delete after[name];
      else after[name] = text;
    }
    if ([id, ...Object.values(after)].some((value) => value !== null && this.locked.has(value)))
      return failure("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record");
    this.records.set(id, after);
    return null;
  }

  #related(relationship: string): { readonly field: string; readonly to: string } | null {
    for (const [field, { to }] of Object.entries(this.fields))
      if (to?.[1] === relationship) return { field, to: to[0] };
    return null;
  }
}

function refusal(name: string, spec: FieldSpec, text: string): Failure | null {
  if (spec.readOnly === true)
    return failure("INVALID_FIELD_FOR_INSERT_UPDATE", `Unable to create/update fields: ${name}`, name);
  if (text.length > (spec.length ?? 255))
    return failure("STRING_TOO_LONG", `${name}: data value too large: ${text} (max length=255)`, name);
  if (spec.type === "email" && !/^[^@\s]+@[^@\s]+\.[^@\s.]+$/.test(text))
    return failure("INVALID_EMAIL_ADDRESS", `${name}: invalid email address: ${text}`, name);
  if (spec.type === "double" && !/^-?\d+(\.\d+)?$/.test(text))
    return failure("INVALID_TYPE_ON_FIELD_IN_RECORD", `${name}: value not of required type: ${text}`, name);
  if (spec.type === "date" && !/^\d{4}-\d\d-\d\d$/.test(text))
    return failure("INVALID_TYPE_ON_FIELD_IN_RECORD", `${name}: value not of required type: ${text}`, name);
  if (spec.type === "datetime" && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:\d\d)$/.test(text))
    return failure("INVALID_TYPE_ON_FIELD_IN_RECORD", `${name}: value not of required type: ${text}`, name);
  const { options } = spec;
  if (
    options !== undefined &&
    !text.split(spec.type === "multipicklist" ? ";" : "\n").every((option) => options.includes(option))
  )
    return failure(
      "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
      `${name}: bad value for restricted picklist field: ${text}`,
      name,
    );
  return null;
}

function failure(statusCode: string, message: string, ...fields: readonly string[]): Failure {
  return { statusCode, message, fields };
}
