// Iterable's API, from its public description: bulk updates of users, bulk events, catalogs, the project's schema and limits.
// https://api.iterable.com/api/docs, https://support.iterable.com/hc/en-us/articles/208183076-Field-Data-Types
import { JsonNumber, parseExact, plainText } from "../support/exact-json.ts";
import { type MockAnswer, type MockRequest, MockVendor } from "../support/mock.ts";

type FieldType = "string" | "long" | "double" | "boolean" | "date" | "object";
type Fields = Record<string, unknown>;

interface User {
  email: string | null;
  userId: string | null;
  readonly fields: Map<string, string>;
}

interface ApiUser {
  readonly email?: string;
  readonly userId?: string;
  readonly preferUserId?: boolean;
  readonly dataFields?: Fields;
}

interface ApiEvent {
  readonly email?: string;
  readonly userId?: string;
  readonly eventName?: string;
  readonly id?: string;
  readonly createdAt?: unknown;
  readonly createNewFields?: boolean;
  readonly dataFields?: Fields;
}

export interface StoredEvent {
  readonly user: string;
  readonly name: string;
  readonly createdAt: string | null;
  readonly fields: Map<string, string>;
}

export interface ProjectOptions {
  readonly schema: Readonly<Record<string, FieldType>>;
  /** What becomes of fields that the project does not know, unless a request says so. */
  readonly unknownFields?: "add" | "drop";
  /** Events are only of users who are there. */
  readonly knownUsersOnly?: boolean;
  readonly disallowedEvents?: readonly string[];
}

const BODY_BYTES = 4_000_000;
const ITEM_BYTES = 30_000;
const MOST_ITEMS = 1000;
const EMAIL = /^[^@\s]+@[^@\s]+\.[^@\s.]+$/;
const DATE = /^\d{4}-\d\d-\d\d([ T]\d\d:\d\d:\d\d(\.\d{1,3})?( ?[+-]\d\d:\d\d|Z)?)?$/;

export class IterableMock implements AsyncDisposable {
  server!: MockVendor;
  apiKey: string;
  readonly #project: ProjectOptions;
  readonly schema: Map<string, FieldType>;
  readonly #eventSchema = new Map<string, FieldType>();
  readonly users: User[] = [];
  readonly forgotten = new Set<string>();
  readonly events = new Map<string, StoredEvent>();
  /** Items by catalog. */
  readonly catalogs = new Map<string, Map<string, Map<string, string>>>();

  private constructor(apiKey: string, project: ProjectOptions) {
    this.apiKey = apiKey;
    this.#project = project;
    this.schema = new Map([["email", "string"], ["userId", "string"], ...Object.entries(project.schema)]);
  }

  static async start(apiKey: string, project: ProjectOptions): Promise<IterableMock> {
    const mock = new IterableMock(apiKey, project);
    mock.server = await MockVendor.start({ answer: (request) => mock.#answer(request) });
    return mock;
  }

  clear(): void {
    this.users.length = 0;
    this.events.clear();
    for (const items of this.catalogs.values()) items.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }

  #answer(request: MockRequest): MockAnswer {
    const { method, path, headers, body } = request;
    if (headers["api-key"] !== this.apiKey) return problem(401, "BadApiKey", `Invalid API key: ${headers["api-key"]}`);
    if (Buffer.byteLength(body) > BODY_BYTES) return problem(413, "BatchTooLarge", "Request body is too large");
    const [, area, ...rest] = path;
    const call = `${method} ${area}/${rest.join("/")}`;
    if (call === "GET channels/") return { status: 200, body: { channels: [] } };
    if (call === "GET users/getFields") return { status: 200, body: { fields: Object.fromEntries(this.schema) } };
    let json: Fields = {};
    try {
      if (body !== "") json = parseExact(body) as Fields;
    } catch {
      return problem(400, "BadJsonBody", "Invalid JSON");
    }
    if (call === "POST users/bulkUpdate") return this.#bulkUpdate(json);
    if (call === "POST events/trackBulk") return this.#trackBulk(json["events"] as readonly ApiEvent[]);
    if (method === "DELETE" && area === "users") return this.#deleteUser(rest);
    if (area === "catalogs") return this.#catalog(method, rest, json);
    return problem(404, "NotFound", "Not found");
  }

  #bulkUpdate({ users, createNewFields }: { users?: readonly ApiUser[]; createNewFields?: boolean }): MockAnswer {
    const failed: Record<string, string[]> = {};
    const dropped = new Set<string>();
    const added = new Set<string>();
    let count = 0;
    for (const user of users ?? []) {
      const failure = this.#updateUser(user, createNewFields ?? this.#project.unknownFields !== "drop", dropped, added);
      if (failure === null) count += 1;
      else (failed[failure.list] ??= []).push(failure.value);
    }
    return counted(count, (users ?? []).length - count, failed, dropped, added);
  }

  #updateUser(
    { email, userId, preferUserId, dataFields = {} }: ApiUser,
    create: boolean,
    dropped: Set<string>,
    added: Set<string>,
  ): { readonly list: string; readonly value: string } | null {
    const own = email === undefined ? "UserIds" : "Emails";
    const id = (email ?? userId) as string;
    for (const address of [email, dataFields["email"]])
      if (typeof address === "string" && !EMAIL.test(address)) return { list: "invalidEmails", value: address };
    if (email === undefined && (typeof userId !== "string" || !/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(userId)))
      return { list: "invalidUserIds", value: String(userId) };
    if (this.forgotten.has(id.toLowerCase())) return { list: `forgotten${own}`, value: id };
    const user = this.#find(email, userId);
    for (const [name, kind] of [
      ["email", "Emails"],
      ["userId", "UserIds"],
    ] as const) {
      const other = dataFields[name];
      if (typeof other !== "string") continue;
      const holder = name === "email" ? this.#find(other, undefined) : this.#find(undefined, other);
      if (holder !== undefined && holder !== user) return { list: `conflict${kind}`, value: other };
    }
    const known = Object.entries(dataFields).filter(([name, value]) => {
      if (this.schema.has(name) || value === null) return true;
      if (create) added.add(name);
      else dropped.add(name);
      return create;
    });
    if (known.some(([name, value]) => !fits(value, this.schema.get(name))))
      return { list: `invalidData${own}`, value: id };
    for (const [name, value] of known)
      if (!this.schema.has(name) && value !== null) this.schema.set(name, typeOf(value));
    // Of a project that knows users by e-mail.
    if (user === undefined && userId !== undefined && preferUserId !== true)
      return { list: "notFoundUserIds", value: id };
    const stored = user ?? this.#create(email, userId);
    for (const [name, value] of known) {
      if (name === "email") stored.email = plainText(value);
      else if (name === "userId") stored.userId = plainText(value);
      else set(stored.fields, name, value);
    }
    return null;
  }

  #trackBulk(events: readonly ApiEvent[]): MockAnswer {
    const failed: Record<string, string[]> = {};
    const dropped = new Set<string>();
    const disallowed = new Set<string>();
    for (const { eventName = "", dataFields = {} } of events) {
      for (const [name, value] of Object.entries(dataFields)) {
        const type = this.#eventSchema.get(`${eventName}.${name}`);
        if (!fits(value, type)) {
          return {
            status: 400,
            body: {
              msg: "[/api/events/trackBulk] Request fields types mismatched",
              code: "RequestFieldsTypesMismatched",
              params: {
                validationErrors: {
                  [`${eventName}.${name}`]: { expectedType: type, offendingValue: plainText(value) },
                },
              },
            },
          };
        }
      }
    }
    let count = 0;
    for (const event of events) {
      const { email, userId, eventName = "" } = event;
      const id = email ?? userId ?? "";
      const kind = email === undefined ? "UserIds" : "Emails";
      const fail = (reason: string): unknown => (failed[`${reason}${kind}`] ??= []).push(id);
      if (this.#project.disallowedEvents?.includes(eventName) === true) disallowed.add(eventName);
      else if (email === undefined ? !/^[\x21-\x7e]+$/.test(id) : !EMAIL.test(id)) fail("invalid");
      else if (this.forgotten.has(id.toLowerCase())) fail("forgotten");
      else if (this.#project.knownUsersOnly === true && this.#find(email, userId) === undefined) fail("notFound");
      else {
        count += 1;
        this.#track(id, event, dropped);
      }
    }
    const answer = counted(count, events.length - count, failed, dropped, new Set());
    return { ...answer, body: { ...(answer.body as object), disallowedEventNames: [...disallowed] } };
  }

  /** Of an id that is known, the event is another from now on. */
  #track(
    user: string,
    { eventName = "", id, createdAt, createNewFields, dataFields = {} }: ApiEvent,
    dropped: Set<string>,
  ): void {
    const fields = new Map<string, string>();
    for (const [name, value] of Object.entries(dataFields)) {
      const path = `${eventName}.${name}`;
      const create = createNewFields ?? this.#project.unknownFields !== "drop";
      if (!this.#eventSchema.has(path) && value !== null) {
        if (create) this.#eventSchema.set(path, typeOf(value));
        else dropped.add(path);
      }
      if (this.#eventSchema.has(path)) set(fields, name, value);
    }
    this.events.set(id ?? `generated-${this.events.size}`, {
      user,
      name: eventName,
      createdAt: plainText(createdAt),
      fields,
    });
  }

  #deleteUser(path: readonly string[]): MockAnswer {
    const byId = path[0] === "byUserId" && path.length === 2;
    const [value = ""] = byId ? path.slice(1) : path;
    const user = byId ? this.#find(undefined, value) : this.#find(value, undefined);
    if (user === undefined)
      return problem(400, byId ? "UnknownUserIdError" : "UnknownEmailError", `User does not exist: ${value}`);
    this.users.splice(this.users.indexOf(user), 1);
    return success("User deletion request received");
  }

  #catalog(method: string, [name = "", part, ...more]: readonly string[], json: Fields): MockAnswer {
    const items = this.catalogs.get(name);
    if (items === undefined) return problem(404, "NotFound", `Catalog not found: ${name}`);
    if (method === "GET" && part === "fieldMappings")
      return { status: 200, body: { msg: "", code: "Success", params: { definedMappings: {}, undefinedFields: [] } } };
    if (part !== "items" || more.length > 0) return problem(404, "NotFound", "Not found");
    if (method === "DELETE") {
      for (const id of json["itemIds"] as readonly string[]) items.delete(id);
      return { ...success("Bulk delete catalog items request received."), status: 202 };
    }
    const documents = Object.entries((json["documents"] ?? {}) as Readonly<Record<string, Fields>>);
    if (documents.length > MOST_ITEMS) return problem(400, "BatchTooLarge", "Too many items");
    const wrong = documents.find(
      ([id, value]) => !/^[A-Za-z0-9-]{1,255}$/.test(id) || JSON.stringify(value).length > ITEM_BYTES,
    );
    if (wrong !== undefined) return problem(400, "BadParams", `Invalid item: ${wrong[0]}`);
    for (const [id, value] of documents) {
      const item =
        (json["replaceUploadedFieldsOnly"] === true ? items.get(id) : undefined) ?? new Map<string, string>();
      for (const [field, of] of Object.entries(value)) set(item, field, of);
      items.set(id, item);
    }
    return { ...success("Request to bulk upload items received"), status: 202 };
  }

  #find(email: string | undefined, userId: string | undefined): User | undefined {
    return this.users.find((user) =>
      email === undefined ? user.userId === userId : user.email?.toLowerCase() === email.toLowerCase(),
    );
  }

  #create(email: string | undefined, userId: string | undefined): User {
    const user: User = { email: email ?? null, userId: userId ?? null, fields: new Map() };
    this.users.push(user);
    return user;
  }
}

function set(fields: Map<string, string>, name: string, value: unknown): void {
  const text = plainText(value);
  if (text === null) fields.delete(name);
  else fields.set(name, text);
}

function fits(value: unknown, type: FieldType | undefined): boolean {
  if (value === null || type === undefined) return true;
  switch (type) {
    case "string":
      return typeof value === "string";
    case "long":
      return value instanceof JsonNumber && /^-?\d+$/.test(value.text);
    case "double":
      return value instanceof JsonNumber;
    case "boolean":
      return typeof value === "boolean";
    case "date":
      return typeof value === "string" && DATE.test(value);
    case "object":
      return typeof value === "object";
  }
}

function typeOf(value: unknown): FieldType {
  if (value instanceof JsonNumber) return /^-?\d+$/.test(value.text) ? "long" : "double";
  if (typeof value === "boolean") return "boolean";
  if (typeof value === "string") return DATE.test(value) ? "date" : "string";
  return "object";
}

function counted(
  successCount: number,
  failCount: number,
  failedUpdates: Readonly<Record<string, readonly string[]>>,
  dropped: ReadonlySet<string>,
  added: ReadonlySet<string>,
): MockAnswer {
  const body = {
    successCount,
    failCount,
    invalidEmails: failedUpdates["invalidEmails"] ?? [],
    invalidUserIds: failedUpdates["invalidUserIds"] ?? [],
    filteredOutFields: [...dropped],
    createdFields: [...added],
    failedUpdates,
  };
  return { status: 200, body };
}

function success(msg: string): MockAnswer {
  return { status: 200, body: { msg, code: "Success", params: null } };
}

function problem(status: number, code: string, msg: string): MockAnswer {
  return { status, body: { msg, code, params: null } };
}

/** The answer to too many requests. */
export function tooMany(seconds: number): MockAnswer {
  return { ...problem(429, "RateLimitExceeded", "Rate limit exceeded"), headers: { "retry-after": String(seconds) } };
}
