// Intercom's REST API 2.14, from its public description: contacts, companies, data attributes and events, one by one.
// https://developers.intercom.com/docs/references/rest-api/api.intercom.io/contacts, …/companies, …/data-events, …/rest-api/errors
import { JsonNumber, parseExact, plainText } from "../support/exact-json.ts";
import { type MockAnswer, type MockRequest, MockVendor } from "../support/mock.ts";

type AttributeType = "string" | "integer" | "float" | "boolean" | "date";
type Json = Readonly<Record<string, unknown>>;

export interface StoredRecord {
  readonly id: string;
  archived: boolean;
  readonly fields: Map<string, string>;
}

export interface StoredEvent {
  readonly contact: string;
  readonly name: string;
  readonly createdAt: string | null;
  readonly metadata: Map<string, string>;
}

export interface WorkspaceOptions {
  readonly contact?: Readonly<Record<string, AttributeType>>;
  readonly company?: Readonly<Record<string, AttributeType>>;
  /** Whether an archived contact is found by its external id: the description does not say. Default: false. */
  readonly findsArchived?: boolean;
}

const CONTACT: Readonly<Record<string, AttributeType>> = {
  external_id: "string",
  email: "string",
  phone: "string",
  name: "string",
  role: "string",
  avatar: "string",
  signed_up_at: "date",
  last_seen_at: "date",
  owner_id: "integer",
  unsubscribed_from_emails: "boolean",
};
const COMPANY: Readonly<Record<string, AttributeType>> = {
  company_id: "string",
  name: "string",
  plan: "string",
  size: "integer",
  website: "string",
  industry: "string",
  monthly_spend: "float",
  remote_created_at: "date",
};
const BODY_BYTES = 1_000_000;

export class IntercomMock implements AsyncDisposable {
  server!: MockVendor;
  token: string;
  readonly contacts = new Map<string, StoredRecord>();
  readonly companies = new Map<string, StoredRecord>();
  /** `CONTACT COMPANY`, by Intercom's ids. */
  readonly attached = new Set<string>();
  readonly events: StoredEvent[] = [];
  readonly #eventKeys = new Set<string>();
  readonly #options: WorkspaceOptions;
  #nextId = 0x5ba682d2;

  private constructor(token: string, options: WorkspaceOptions) {
    this.token = token;
    this.#options = options;
  }

  static async start(token: string, options: WorkspaceOptions): Promise<IntercomMock> {
    const mock = new IntercomMock(token, options);
    mock.server = await MockVendor.start({ answer: (request) => mock.#answer(request) });
    return mock;
  }

  clear(): void {
    this.contacts.clear();
    this.companies.clear();
    this.attached.clear();
    this.events.length = 0;
    this.#eventKeys.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }

  #answer({ method, path, query, headers, body }: MockRequest): MockAnswer {
    if (headers["authorization"] !== `Bearer ${this.token}`)
      return problem(401, "unauthorized", `Access Token Invalid: ${headers["authorization"]}`);
    if (Buffer.byteLength(body) > BODY_BYTES) return { status: 413, body: "<html>Request Entity Too Large</html>" };
    let json: Json = {};
    try {
      if (body !== "") json = parseExact(body) as Json;
    } catch {
      return problem(400, "bad_request", "Invalid JSON");
    }
    const [area, id, action] = path;
    const call = `${method} ${area}`;
    if (call === "GET me") return { status: 200, body: { type: "admin", id: "1" } };
    if (call === "GET data_attributes") return this.#attributes(query.get("model"));
    if (call === "POST events") return this.#event(json);
    if (area === "contacts") return this.#contact(method, id, action, json);
    if (area === "companies") return this.#company(method, id, query.get("company_id"), json);
    return problem(404, "not_found", "Not found");
  }

  #attributes(model: string | null): MockAnswer {
    const own = model === "company" ? COMPANY : CONTACT;
    const made = (model === "company" ? this.#options.company : this.#options.contact) ?? {};
    const shown =
      (custom: boolean) =>
      ([name, data_type]: [string, AttributeType]) => ({
        type: "data_attribute",
        name,
        full_name: custom ? `custom_attributes.${name}` : name,
        label: name,
        data_type,
        custom,
        archived: false,
        api_writable: true,
        model,
      });
    const data = [...Object.entries(own).map(shown(false)), ...Object.entries(made).map(shown(true))];
    return { status: 200, body: { type: "list", data } };
  }

  #contact(method: string, id: string | undefined, action: string | undefined, json: Json): MockAnswer {
    if (id === undefined) return method === "POST" ? this.#createContact(json) : problem(404, "not_found", "Not found");
    if (id === "find_by_external_id") {
      const found = this.#find("external_id", action ?? "");
      return found === undefined || (found.archived && this.#options.findsArchived !== true)
        ? notFound("Contact Not Found")
        : { status: 200, body: shown("contact", found) };
    }
    const contact = this.contacts.get(id);
    if (contact === undefined) return notFound("Contact Not Found");
    const said = { type: "contact", id, external_id: contact.fields.get("external_id") ?? null };
    switch (`${method} ${action ?? ""}`) {
      case "GET ":
        return { status: 200, body: shown("contact", contact) };
      case "PUT ":
        return this.#writeContact(contact, json);
      case "DELETE ":
        this.contacts.delete(id);
        return { status: 200, body: { ...said, deleted: true } };
      case "POST archive":
        contact.archived = true;
        return { status: 200, body: { ...said, archived: true } };
      case "POST unarchive":
        contact.archived = false;
        return { status: 200, body: { ...said, archived: false } };
      case "POST companies": {
        const company = this.companies.get(String(json["id"]));
        if (company === undefined) return notFound("Company Not Found");
        this.attached.add(`${id} ${company.id}`);
        return { status: 200, body: shown("company", company) };
      }
      default:
        return problem(404, "not_found", "Not found");
    }
  }

  #createContact(json: Json): MockAnswer {
    if (json["external_id"] === undefined && json["email"] === undefined && json["role"] !== "lead")
      return problem(400, "parameter_not_found", "email or external_id is required");
    const contact: StoredRecord = { id: this.#id(), archived: false, fields: new Map() };
    const answer = this.#writeContact(contact, json);
    if (answer.status === 200) this.contacts.set(contact.id, contact);
    return answer;
  }

  #writeContact(contact: StoredRecord, json: Json): MockAnswer {
    const refused = refusal(json, CONTACT, this.#options.contact ?? {});
    if (refused !== null) return refused;
    for (const name of ["external_id", "email"]) {
      const value = json[name];
      const other = typeof value === "string" ? this.#find(name, value) : undefined;
      if (other !== undefined && other !== contact)
        return problem(409, "conflict", `A contact matching those details already exists with id=${other.id}`);
    }
    write(contact, json);
    return { status: 200, body: shown("contact", contact) };
  }

  #company(method: string, id: string | undefined, companyId: string | null, json: Json): MockAnswer {
    if (id === undefined) {
      const wanted = method === "GET" ? companyId : json["company_id"];
      const found = [...this.companies.values()].find(({ fields }) => fields.get("company_id") === wanted);
      if (method === "GET")
        return found === undefined ? notFound("Company Not Found") : { status: 200, body: shown("company", found) };
      if (typeof wanted !== "string" || wanted === "") return problem(400, "bad_request", "company_id is blank");
      const company = found ?? { id: this.#id(), archived: false, fields: new Map<string, string>() };
      const answer = this.#writeCompany(company, json);
      if (answer.status === 200) this.companies.set(company.id, company);
      return answer;
    }
    const company = this.companies.get(id);
    if (company === undefined) return notFound("Company Not Found");
    if (method === "PUT") return this.#writeCompany(company, json);
    if (method !== "DELETE") return problem(404, "not_found", "Not found");
    this.companies.delete(id);
    return { status: 200, body: { id, object: "company", deleted: true } };
  }

  #writeCompany(company: StoredRecord, json: Json): MockAnswer {
    const refused = refusal(json, COMPANY, this.#options.company ?? {});
    if (refused !== null) return refused;
    write(company, json);
    return { status: 200, body: shown("company", company) };
  }

  /** One of a contact, a name and a second is one event. */
  #event(json: Json): MockAnswer {
    const [by, value] = (["user_id", "email", "id"] as const)
      .map((name) => [name, json[name]] as const)
      .find(([, given]) => typeof given === "string") ?? ["id", ""];
    const name = json["event_name"];
    if (typeof name !== "string" || name === "") return problem(400, "parameter_not_found", "event_name is blank");
    const contact =
      by === "id" ? this.contacts.get(String(value)) : this.#find(by === "user_id" ? "external_id" : by, String(value));
    if (contact === undefined) return notFound("User Not Found");
    const createdAt = plainText(json["created_at"]);
    if (createdAt !== null && !/^\d+$/.test(createdAt))
      return problem(400, "parameter_invalid", "created_at is invalid");
    const key = `${contact.id} ${name} ${createdAt}`;
    if (createdAt === null || !this.#eventKeys.has(key)) {
      this.#eventKeys.add(key);
      const metadata = new Map<string, string>();
      for (const [field, of] of Object.entries((json["metadata"] ?? {}) as Json).slice(0, 10)) set(metadata, field, of);
      this.events.push({ contact: contact.id, name, createdAt, metadata });
    }
    return { status: 202 };
  }

  #find(name: string, value: string): StoredRecord | undefined {
    const folded = (text: string | undefined): string | undefined => (name === "email" ? text?.toLowerCase() : text);
    return [...this.contacts.values()].find(({ fields }) => folded(fields.get(name)) === folded(value));
  }

  #id(): string {
    this.#nextId += 1;
    return `${this.#nextId.toString(16)}d7cf92bef87bfd4`;
  }
}

function refusal(
  json: Json,
  own: Readonly<Record<string, AttributeType>>,
  made: Readonly<Record<string, AttributeType>>,
): MockAnswer | null {
  const custom = Object.entries((json["custom_attributes"] ?? {}) as Json);
  const unknown = custom.find(([name]) => !Object.hasOwn(made, name));
  if (unknown !== undefined)
    return problem(400, "parameter_invalid", `Custom attribute '${unknown[0]}' does not exist`);
  const all = [
    ...Object.entries(json)
      .filter(([name]) => Object.hasOwn(own, name))
      .map(([name, value]) => [name, value, own[name]!] as const),
    ...custom.map(([name, value]) => [name, value, made[name]!] as const),
  ];
  for (const [name, value, type] of all) {
    if (value === null) continue;
    if (name === "email" && !/^[^@\s]+@[^@\s]+$/.test(plainText(value) ?? ""))
      return problem(400, "parameter_invalid", `email ${plainText(value)} is invalid`);
    if (name === "external_id" && value === "") return problem(400, "parameter_invalid", "external_id is blank");
    if (!fits(value, type)) return problem(400, "type_mismatch", `Expected ${type} for ${name}: ${plainText(value)}`);
  }
  return null;
}

function fits(value: unknown, type: AttributeType): boolean {
  switch (type) {
    case "string":
      return typeof value === "string";
    case "boolean":
      return typeof value === "boolean";
    case "float":
      return value instanceof JsonNumber;
    case "integer":
    case "date":
      return value instanceof JsonNumber && /^-?\d+$/.test(value.text);
  }
}

function write({ fields }: StoredRecord, { custom_attributes: custom, ...own }: Json): void {
  for (const [name, value] of [...Object.entries(own), ...Object.entries((custom ?? {}) as Json)])
    set(fields, name, value);
}

function set(fields: Map<string, string>, name: string, value: unknown): void {
  const text = plainText(value);
  if (text === null) fields.delete(name);
  else fields.set(name, text);
}

function shown(type: string, { id, fields }: StoredRecord): Json {
  return { type, id, ...Object.fromEntries(fields) };
}

function notFound(message: string): MockAnswer {
  return problem(404, "not_found", message);
}

function problem(status: number, code: string, message: string): MockAnswer {
  return {
    status,
    body: { type: "error.list", request_id: "80ec9d92-99ff-4da9-9a0e-c0ab7c42f7e7", errors: [{ code, message }] },
  };
}

/** The answer to more than the window has, which ends in so many seconds. */
export function tooMany(inSeconds: number): MockAnswer {
  const reset = Math.ceil(Date.now() / 1000) + inSeconds;
  return {
    ...problem(429, "rate_limit_exceeded", "Exceeded rate limit of 167 in 10_seconds"),
    headers: {
      "x-ratelimit-limit": "167",
      "x-ratelimit-remaining": "0",
      "x-ratelimit-reset": String(inSeconds === 0 ? reset - 1 : reset),
    },
  };
}
