// Customer.io's Track API, from its public description: batches of people, events, objects and relationships, and its limits.
// https://docs.customer.io/integrations/api/track/tag/track_v2/, https://docs.customer.io/journeys/invalid-api-requests
import { parseExact, plainText } from "../support/exact-json.ts";
import { type MockAnswer, type MockRequest, MockVendor } from "../support/mock.ts";

type Attributes = Map<string, string>;

interface Item {
  readonly type?: string;
  readonly action?: string;
  readonly identifiers?: Readonly<Record<string, unknown>>;
  readonly attributes?: Readonly<Record<string, unknown>>;
  readonly id?: string;
  readonly name?: unknown;
  readonly timestamp?: unknown;
  readonly cio_relationships?: readonly {
    readonly identifiers?: Readonly<Record<string, unknown>>;
    readonly relationship_attributes?: Readonly<Record<string, unknown>>;
  }[];
}

export interface StoredEvent {
  readonly person: string;
  readonly name: string;
  readonly timestamp: string | null;
  readonly attributes: Attributes;
}

interface Failure {
  readonly reason: string;
  readonly field: string;
  readonly message: string;
}

const BATCH_BYTES = 500_000;
const ITEM_BYTES = 32_768;
const PERSON = ["id", "email", "phone", "cio_id"];
const PERSON_ACTIONS = ["identify", "delete", "event", "add_relationships", "delete_relationships"];
const OBJECT_ACTIONS = ["identify", "delete"];

export class CustomerioMock implements AsyncDisposable {
  server!: MockVendor;
  readonly siteId = "site-1";
  apiKey: string;
  region = "us";
  /** Their identifiers are attributes like the others; by `cio_id`. */
  readonly people = new Map<string, Attributes>();
  /** `TYPE:ID` */
  readonly objects = new Map<string, Attributes>();
  /** `CIO_ID TYPE:ID` */
  readonly relationships = new Map<string, Attributes>();
  readonly events: StoredEvent[] = [];
  readonly #eventIds = new Set<string>();
  #nextId = 1;

  private constructor(apiKey: string) {
    this.apiKey = apiKey;
  }

  static async start(apiKey: string): Promise<CustomerioMock> {
    const mock = new CustomerioMock(apiKey);
    mock.server = await MockVendor.start({ answer: (request) => mock.#answer(request) });
    return mock;
  }

  clear(): void {
    for (const records of [this.people, this.objects, this.relationships]) records.clear();
    this.events.length = 0;
    this.#eventIds.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }

  #answer({ method, path, headers, body }: MockRequest): MockAnswer {
    const expected = Buffer.from(`${this.siteId}:${this.apiKey}`).toString("base64");
    if (headers["authorization"] !== `Basic ${expected}`)
      return { status: 401, body: { meta: { error: "unauthorized" } } };
    const url = path.join("/");
    if (method === "GET" && url === "api/v1/accounts/region")
      return { status: 200, body: { url: "https://track.customer.io", region: this.region, environment_id: 3 } };
    if (method !== "POST" || url !== "api/v2/batch") return { status: 404, body: "404 page not found" };
    if (Buffer.byteLength(body) > BATCH_BYTES)
      return malformed({ reason: "invalid", field: "batch", message: "request must be smaller than 500kb" });
    let items: readonly Item[] | undefined;
    try {
      items = (parseExact(body) as { batch?: readonly Item[] }).batch;
    } catch {
      return malformed({ reason: "parse_error", field: "body", message: "invalid JSON" });
    }
    if (!Array.isArray(items) || items.length === 0)
      return malformed({ reason: "required", field: "batch", message: "batch must be present" });
    const errors: unknown[] = [];
    for (const [index, item] of (items as readonly Item[]).entries()) {
      const failure = refusal(item);
      if (failure === null) this.#do(item);
      else errors.push({ batch_index: index, ...failure });
    }
    return errors.length === 0 ? { status: 200, body: {} } : { status: 207, body: { errors } };
  }

  #do(item: Item): void {
    const { type, action, identifiers = {} } = item;
    if (type === "object") return this.#object(item);
    const [[by, value] = ["", ""]] = Object.entries(identifiers);
    const id = String(value);
    const found = this.#find(by, id);
    if (action === "delete") return this.#deletePerson(found);
    if (action === "identify" && item.attributes?.["_update"] === true && found === undefined) return;
    // What has Customer.io's own id is never made.
    if (by === "cio_id" && found === undefined) return;
    const person = found ?? this.#create(by, id);
    if (action === "event") return this.#event(person, item);
    if (action === "identify") return set(this.people.get(person)!, item.attributes ?? {});
    for (const { identifiers: of = {}, relationship_attributes: attributes = {} } of item.cio_relationships ?? []) {
      const key = `${person} ${String(of["object_type_id"])}:${String(of["object_id"])}`;
      if (action === "delete_relationships") this.relationships.delete(key);
      else set(this.relationships.get(key) ?? put(this.relationships, key), attributes);
    }
  }

  #object({ action, identifiers = {}, attributes = {} }: Item): void {
    const key = `${String(identifiers["object_type_id"])}:${String(identifiers["object_id"])}`;
    if (action === "delete") this.objects.delete(key);
    else set(this.objects.get(key) ?? put(this.objects, key), attributes);
  }

  #event(person: string, { id, name, timestamp, attributes = {} }: Item): void {
    if (id !== undefined) {
      if (this.#eventIds.has(id)) return;
      this.#eventIds.add(id);
    }
    const stored: Attributes = new Map();
    set(stored, attributes);
    this.events.push({ person, name: String(name).trim(), timestamp: plainText(timestamp), attributes: stored });
  }

  #deletePerson(id: string | undefined): void {
    if (id === undefined) return;
    this.people.delete(id);
    for (const key of this.relationships.keys()) if (key.startsWith(`${id} `)) this.relationships.delete(key);
  }

  #create(by: string, value: string): string {
    const id = `cio_${this.#nextId}`;
    this.#nextId += 1;
    put(this.people, id).set(by, value);
    return id;
  }

  #find(by: string, value: string): string | undefined {
    if (by === "cio_id") return this.people.has(value) ? value : undefined;
    const same = (other: string | undefined): boolean =>
      by === "email" ? other?.toLowerCase() === value.toLowerCase() : other === value;
    for (const [id, attributes] of this.people) if (same(attributes.get(by))) return id;
    return undefined;
  }
}

function put(records: Map<string, Attributes>, key: string): Attributes {
  const attributes: Attributes = new Map();
  records.set(key, attributes);
  return attributes;
}

/** A null or an empty text removes an attribute. */
function set(stored: Attributes, attributes: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(attributes)) {
    const text = plainText(value);
    if (name === "_update") continue;
    if (text === null || text === "") stored.delete(name);
    else stored.set(name, text);
  }
}

/** Why an item is refused; null: it is accepted. */
function refusal(item: Item): Failure | null {
  const bytes = Buffer.byteLength(JSON.stringify(item));
  if (bytes > ITEM_BYTES) return { reason: "too_large", field: "batch", message: "must be 32kb or smaller" };
  const { type, action = "", identifiers = {}, attributes = {} } = item;
  const names = Object.keys(identifiers);
  const blank = Object.entries(identifiers).find(([, value]) => typeof value !== "string" || value === "");
  if (blank !== undefined)
    return { reason: "invalid", field: `identifiers.${blank[0]}`, message: `${blank[0]} cannot be an empty string` };
  if (type === "person") {
    if (names.length !== 1 || !PERSON.includes(names[0]!))
      return { reason: "required", field: "identifiers", message: "must have one of id, email, phone or cio_id" };
    if (!PERSON_ACTIONS.includes(action)) return { reason: "invalid", field: "action", message: "unknown action" };
    if (action === "event") return eventRefusal(item);
    if (action.endsWith("relationships") && (item.cio_relationships ?? []).length === 0)
      return { reason: "required", field: "cio_relationships", message: "must be present" };
  } else if (type === "object") {
    if (names.sort().join() !== "object_id,object_type_id" && names.join() !== "cio_object_id")
      return { reason: "required", field: "identifiers", message: "must have object_type_id and object_id" };
    if (!OBJECT_ACTIONS.includes(action)) return { reason: "invalid", field: "action", message: "unknown action" };
  } else return { reason: "invalid", field: "type", message: "must be person, object or delivery" };
  const related = (item.cio_relationships ?? []).map(({ relationship_attributes: more }) => more ?? {});
  return [attributes, ...related].map(attributesRefusal).find((failure) => failure !== null) ?? null;
}

function eventRefusal({ id, name, timestamp }: Item): Failure | null {
  if (typeof name !== "string" || name.trim() === "")
    return { reason: "required", field: "name", message: "event name must not be blank" };
  if (Buffer.byteLength(name) > 100)
    return { reason: "invalid", field: "name", message: `event name ${name} cannot be longer than 100 bytes` };
  if (timestamp !== undefined && !/^\d+$/.test(plainText(timestamp) ?? ""))
    return { reason: "invalid", field: "timestamp", message: "must be a unix timestamp" };
  if (id !== undefined && !/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(id))
    return { reason: "invalid", field: "id", message: "must be a ULID" };
  return null;
}

function attributesRefusal(attributes: Readonly<Record<string, unknown>>): Failure | null {
  const entries = Object.entries(attributes);
  if (entries.length > 300)
    return {
      reason: "invalid",
      field: "attributes",
      message: "cannot identify more than 300 attributes in one request",
    };
  for (const [name, value] of entries) {
    if (Buffer.byteLength(name) > 150)
      return { reason: "invalid", field: name, message: "attribute name cannot be longer than 150 bytes" };
    const text = plainText(value) ?? "";
    if (Buffer.byteLength(text) > 1000) {
      const message = `value for attribute '${name}' cannot be longer than 1000 bytes: ${text.slice(0, 60)} …<truncated>…`;
      return { reason: "invalid", field: name, message };
    }
  }
  return null;
}

function malformed(error: Failure): MockAnswer {
  return { status: 400, body: { errors: [error] } };
}

/** The answer to more than is fair use. */
export function tooMany(seconds: number): MockAnswer {
  return {
    status: 429,
    headers: { "retry-after": String(seconds) },
    body: { meta: { error: "too many requests" } },
  };
}
