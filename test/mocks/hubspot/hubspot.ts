// HubSpot's CRM, from its public description: objects, batches with partial answers, properties, associations, limits.
// https://developers.hubspot.com/docs/api-reference/crm-objects-v3/guide, …/error-handling, …/crm-associations-v4/guide
import { type MockAnswer, type MockRequest, MockVendor } from "../support/mock.ts";

export interface PropertySpec {
  readonly type: "string" | "number" | "bool" | "date" | "datetime" | "enumeration";
  readonly unique?: boolean;
  readonly readOnly?: boolean;
  readonly options?: readonly string[];
}

export type Properties = Readonly<Record<string, PropertySpec>>;

interface StoredRecord {
  readonly id: string;
  readonly properties: Record<string, string>;
}

interface Input {
  readonly id?: string;
  readonly idProperty?: string;
  readonly objectWriteTraceId?: string;
  readonly properties?: Readonly<Record<string, string>>;
}

interface Failure {
  readonly category: string;
  readonly message: string;
  readonly ids?: readonly string[];
}

const NOW = "2026-01-01T00:00:00.000Z";
const MOST_INPUTS = 100;
const MOST_BYTES = 10_000_000;

export class HubSpotMock implements AsyncDisposable {
  readonly server: MockVendor;
  readonly #schemas: Readonly<Record<string, Properties>>;
  readonly #objects = new Map<string, Map<string, StoredRecord>>();
  /** `FROM:ID → TO:ID` */
  readonly associations = new Set<string>();
  token: string;
  #nextId = 1000;

  private constructor(server: MockVendor, token: string, schemas: Readonly<Record<string, Properties>>) {
    this.server = server;
    this.token = token;
    this.#schemas = schemas;
  }

  static async start(token: string, schemas: Readonly<Record<string, Properties>>): Promise<HubSpotMock> {
    // The server asks the mock, and the mock has the server.
    const holder: { mock?: HubSpotMock } = {};
    const server = await MockVendor.start({ answer: (request) => holder.mock!.#answer(request) });
    holder.mock = new HubSpotMock(server, token, schemas);
    return holder.mock;
  }

  records(object: string): readonly StoredRecord[] {
    return [...this.#of(object).values()];
  }

  clear(): void {
    this.#objects.clear();
    this.associations.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }

  #of(object: string): Map<string, StoredRecord> {
    let records = this.#objects.get(object);
    if (records === undefined) this.#objects.set(object, (records = new Map<string, StoredRecord>()));
    return records;
  }

  #answer(request: MockRequest): MockAnswer {
    if (request.headers["authorization"] !== `Bearer ${this.token}`)
      return problem(
        401,
        "INVALID_AUTHENTICATION",
        `Authentication credentials not found: ${request.headers["authorization"]}`,
      );
    const [area, version, ...rest] = request.path;
    if (area === "account-info") return { status: 200, body: { portalId: 1, accountType: "STANDARD" } };
    if (request.body.length > MOST_BYTES) return problem(413, "VALIDATION_ERROR", "Request entity too large");
    if (area !== "crm") return notFound();
    if (version === "v3" && rest[0] === "properties") return this.#properties(rest[1]!);
    if (version === "v3" && rest[0] === "schemas") return { status: 200, body: { requiredProperties: [] } };
    if (version === "v4" && rest[0] === "associations") return this.#associate(rest.slice(1), request.body);
    if (version !== "v3" || rest[0] !== "objects" || rest[2] !== "batch") return notFound();
    return this.#batch(rest[1]!, rest[3]!, request.body);
  }

  #properties(object: string): MockAnswer {
    const schema = this.#schemas[object];
    if (schema === undefined) return notFound();
    const all: Properties = { ...schema, hs_object_id: { type: "number", readOnly: true } };
    const results = Object.entries(all).map(([name, { type, unique = false, readOnly = false }]) => ({
      name,
      label: name,
      type,
      fieldType: "text",
      hasUniqueValue: unique && name !== "email",
      modificationMetadata: { archivable: true, readOnlyDefinition: true, readOnlyValue: readOnly },
    }));
    return { status: 200, body: { results } };
  }

  #batch(object: string, action: string, body: string): MockAnswer {
    const schema = this.#schemas[object];
    if (schema === undefined) return problem(400, "VALIDATION_ERROR", `Unable to infer object type from: ${object}`);
    const { inputs, idProperty } = JSON.parse(body) as { inputs: readonly Input[]; idProperty?: string };
    if (inputs.length > MOST_INPUTS)
      return problem(
        400,
        "VALIDATION_ERROR",
        `The maximum number of inputs supported in a batch request is ${MOST_INPUTS}`,
      );
    const ids = inputs.map(({ id, idProperty: by }) => (by === "email" ? id?.toLowerCase() : id));
    const twice = ids.find((id, at) => id !== undefined && ids.indexOf(id) !== at);
    if (twice !== undefined && action !== "create")
      return problem(400, "VALIDATION_ERROR", `Duplicate IDs found in batch input: [${twice}]. IDs must be unique`);
    switch (action) {
      case "read":
        return this.#read(object, inputs, idProperty ?? "hs_object_id");
      case "archive":
        for (const { id } of inputs) this.#of(object).delete(id!);
        return { status: 204 };
      case "create":
      case "update":
      case "upsert":
        return this.#write(object, schema, action, inputs);
      default:
        return notFound();
    }
  }

  #read(object: string, inputs: readonly Input[], by: string): MockAnswer {
    const found = inputs.map(({ id }) => this.#find(object, by, id!));
    const results = found.filter((record) => record !== undefined).map((record) => shown(record));
    const missing = inputs.filter((_, at) => found[at] === undefined).map(({ id }) => id!);
    if (missing.length === 0) return { status: 200, body: batchBody(results) };
    const failure = {
      category: "OBJECT_NOT_FOUND",
      message: `Could not get some objects: ${missing.join(", ")}`,
      ids: missing,
    };
    return { status: 207, body: { ...batchBody(results), numErrors: 1, errors: [shownFailure(failure)] } };
  }

  #write(object: string, schema: Properties, action: string, inputs: readonly Input[]): MockAnswer {
    const unknown = inputs
      .flatMap(({ properties }) => Object.keys(properties ?? {}))
      .find((name) => !Object.hasOwn(schema, name));
    if (unknown !== undefined) return invalid(unknown, "", "PROPERTY_DOESNT_EXIST");
    const results: unknown[] = [];
    const errors: unknown[] = [];
    for (const input of inputs) {
      const outcome = this.#writeOne(object, schema, action, input);
      const trace = input.objectWriteTraceId;
      if (outcome instanceof Stored)
        results.push({
          ...shown(outcome.record),
          new: outcome.isNew,
          ...(trace !== undefined && { objectWriteTraceId: trace }),
        });
      // Partial answers are for those who trace their inputs.
      else if (trace === undefined)
        return problem(outcome.category === "CONFLICT" ? 409 : 400, outcome.category, outcome.message);
      else errors.push(shownFailure(outcome, trace));
    }
    if (errors.length === 0) return { status: action === "create" ? 201 : 200, body: batchBody(results) };
    return { status: 207, body: { ...batchBody(results), numErrors: errors.length, errors } };
  }

  #writeOne(object: string, schema: Properties, action: string, input: Input): Stored | Failure {
    const properties = input.properties ?? {};
    for (const [name, value] of Object.entries(properties)) {
      const code = refusal(schema[name]!, name, value);
      if (code !== null) return { category: "VALIDATION_ERROR", message: invalidMessage(name, value, code) };
    }
    const records = this.#of(object);
    const by = input.idProperty ?? "hs_object_id";
    if (input.idProperty !== undefined && schema[by]?.unique !== true)
      return { category: "VALIDATION_ERROR", message: `Unable to perform update/upsert by non-unique property ${by}` };
    let record = action === "create" ? undefined : this.#find(object, by, input.id!);
    if (record === undefined && action === "update")
      return { category: "OBJECT_NOT_FOUND", message: `Could not find an object with id ${input.id}` };
    const isNew = record === undefined;
    if (record === undefined) {
      const conflict = Object.keys(properties).find(
        (name) =>
          schema[name]?.unique === true &&
          properties[name] !== "" &&
          this.#find(object, name, properties[name]!) !== undefined,
      );
      if (conflict !== undefined)
        return {
          category: "CONFLICT",
          message: `Object already exists with ${conflict} ${properties[conflict]}. Existing ID: 1`,
        };
      this.#nextId += 1;
      record = { id: String(this.#nextId), properties: {} };
      records.set(record.id, record);
      if (action === "upsert") set(record, by, input.id!);
    }
    for (const [name, value] of Object.entries(properties)) set(record, name, value);
    return new Stored(record, isNew);
  }

  #find(object: string, by: string, value: string): StoredRecord | undefined {
    const records = this.#of(object);
    if (by === "hs_object_id") return records.get(value);
    const wanted = by === "email" ? value.toLowerCase() : value;
    for (const record of records.values()) if (record.properties[by] === wanted) return record;
    return undefined;
  }

  #associate([from, to]: readonly string[], body: string): MockAnswer {
    const { inputs } = JSON.parse(body) as { inputs: readonly { from: { id: string }; to: { id: string } }[] };
    const made = inputs.filter((input) => this.#of(from!).has(input.from.id) && this.#of(to!).has(input.to.id));
    const results = made.map((input) => ({ fromObjectId: input.from.id, toObjectId: input.to.id, labels: [] }));
    for (const input of made) this.associations.add(`${from}:${input.from.id} → ${to}:${input.to.id}`);
    if (made.length === inputs.length) return { status: 201, body: { ...batchBody(results) } };
    const failure: Failure = { category: "OBJECT_NOT_FOUND", message: "One or more objects do not exist" };
    return { status: 207, body: { ...batchBody(results), numErrors: 1, errors: [shownFailure(failure)] } };
  }
}

class Stored {
  readonly record: StoredRecord;
  readonly isNew: boolean;

  constructor(record: StoredRecord, isNew: boolean) {
    this.record = record;
    this.isNew = isNew;
  }
}

function set(record: StoredRecord, name: string, value: string): void {
  if (value === "") delete record.properties[name];
  else record.properties[name] = name === "email" ? value.toLowerCase() : value;
}

/** HubSpot's code for a value that it does not take; null: it takes it. */
function refusal({ type, readOnly, options }: PropertySpec, name: string, value: unknown): string | null {
  if (readOnly === true) return "READ_ONLY_VALUE";
  if (typeof value !== "string") return "INVALID_STRING";
  if (value === "") return null;
  if (name === "email" && !/^[^@\s]+@[^@\s]+\.[^@\s.]+$/.test(value)) return "INVALID_EMAIL";
  if (value.length > 65_536) return "PROPERTY_VALUE_TOO_LONG";
  if (type === "number" && !/^-?\d+(\.\d+)?$/.test(value)) return "INVALID_LONG";
  if (type === "bool" && !/^(true|false)$/.test(value)) return "INVALID_BOOLEAN";
  if (type === "date" && !/^\d{4}-\d\d-\d\d$/.test(value)) return "INVALID_DATE";
  if (type === "datetime" && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value)) return "INVALID_DATE";
  if (type === "enumeration" && !(options ?? []).includes(value)) return "INVALID_OPTION";
  return null;
}

/** HubSpot's answer to too many requests. */
export function tooMany(
  policy: "TEN_SECONDLY_ROLLING" | "DAILY",
  headers: Readonly<Record<string, string>> = {},
): MockAnswer {
  return {
    status: 429,
    headers,
    body: {
      status: "error",
      message:
        policy === "DAILY" ? "You have reached your daily limit." : "You have reached your ten_secondly_rolling limit.",
      errorType: "RATE_LIMIT",
      correlationId: "c033cdaa-2c40-4a64-ae48-b4cec88dad24",
      policyName: policy,
      requestId: "3d3e35b7-0dae-4b9f-a6e3-9c230cbcf8dd",
    },
  };
}

function problem(status: number, category: string, message: string): MockAnswer {
  return {
    status,
    body: { status: "error", message, correlationId: "aeb5f871-7f07-4993-9211-075dc63e7cbf", category },
  };
}

function notFound(): MockAnswer {
  return { status: 404, body: "<html><h2>HTTP ERROR 404</h2></html>" };
}

function invalid(name: string, value: string, code: string): MockAnswer {
  return problem(400, "VALIDATION_ERROR", invalidMessage(name, value, code));
}

function invalidMessage(name: string, value: unknown, code: string): string {
  const detail = {
    isValid: false,
    message: `Property value ${JSON.stringify(value)} of "${name}" is not valid`,
    error: code,
    name,
  };
  return `Property values were not valid: ${JSON.stringify([detail])}`;
}

function batchBody(results: readonly unknown[]): Record<string, unknown> {
  return { status: "COMPLETE", results, startedAt: NOW, completedAt: NOW };
}

function shown({ id, properties }: StoredRecord): Record<string, unknown> {
  return { id, properties, createdAt: NOW, updatedAt: NOW, archived: false };
}

function shownFailure({ category, message, ids }: Failure, trace?: string): Record<string, unknown> {
  const context = {
    ...(ids === undefined ? {} : { ids }),
    ...(trace === undefined ? {} : { objectWriteTraceId: [trace] }),
  };
  return { status: "error", category, message, context, errors: [], links: {} };
}
