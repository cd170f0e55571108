// Braze, from its public description: users by any identifier, events, purchases, deletions, items of catalogs.
// https://www.braze.com/docs/api/endpoints/user_data/post_user_track/, …/post_user_delete/, …/catalogs/, https://www.braze.com/docs/api/errors/
import { parseExact, plainText } from "../support/exact-json.ts";
import { type MockAnswer, type MockRequest, MockVendor } from "../support/mock.ts";
import { type Alias, BrazeUsers, type Item } from "./users.ts";

export type Catalogs = Readonly<Record<string, Readonly<Record<string, string>>>>;

const MOST_BYTES = 4_000_000;
const MOST_OBJECTS = 75;
const MOST_DELETED = 50;
const MOST_ITEMS = 50;
const ID_LENGTH = 250;
const VALUE_LENGTH = 5000;
const ARRAYS = ["attributes", "events", "purchases"] as const;

interface Problem {
  readonly id: string;
  readonly message: string;
  readonly value?: string;
}

export class BrazeMock implements AsyncDisposable {
  server!: MockVendor;
  key: string;
  readonly users = new BrazeUsers();
  readonly events: Item[] = [];
  readonly purchases: Item[] = [];
  readonly #catalogs: Catalogs;
  readonly #items = new Map<string, Map<string, Record<string, unknown>>>();

  private constructor(key: string, catalogs: Catalogs) {
    this.key = key;
    this.#catalogs = catalogs;
  }

  /** `catalogs`: types by field. */
  static async start(key: string, catalogs: Catalogs = {}): Promise<BrazeMock> {
    const mock = new BrazeMock(key, catalogs);
    mock.server = await MockVendor.start({ answer: (request) => mock.#answer(request) });
    return mock;
  }

  items(catalog: string): ReadonlyMap<string, Item> {
    return this.#itemsOf(catalog);
  }

  clear(): void {
    this.users.clear();
    this.#items.clear();
    this.events.length = 0;
    this.purchases.length = 0;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }

  #itemsOf(catalog: string): Map<string, Record<string, unknown>> {
    let items = this.#items.get(catalog);
    if (items === undefined) this.#items.set(catalog, (items = new Map<string, Record<string, unknown>>()));
    return items;
  }

  #answer({ headers, method, path, body }: MockRequest): MockAnswer {
    if (headers["authorization"] !== `Bearer ${this.key}`)
      return { status: 401, body: { message: `Invalid API key: ${headers["authorization"]}` } };
    if (Buffer.byteLength(body) > MOST_BYTES) return { status: 413, body: { message: "Request entity too large" } };
    const given = body === "" ? {} : (parseExact(body) as Item);
    const [area, name, part] = path;
    if (method === "POST" && area === "users" && name === "track") return this.#track(given);
    if (method === "POST" && area === "users" && name === "delete") return this.#delete(given);
    if (method === "GET" && area === "catalogs" && name === undefined) return this.#list();
    if (area === "catalogs" && part === "items") return this.#write(method, name!, given["items"] as readonly Item[]);
    return { status: 404, body: { message: "Not Found" } };
  }

  #track(given: Item): MockAnswer {
    const arrays = ARRAYS.map((name) => ({ name, objects: (given[name] ?? []) as readonly Item[] }));
    const count = arrays.reduce((sum, { objects }) => sum + objects.length, 0);
    const empty = "Valid data must be provided in the 'attributes', 'events', or 'purchases' fields.";
    if (count === 0) return { status: 400, body: { message: empty } };
    if (count > MOST_OBJECTS) return { status: 400, body: { message: `No more than ${MOST_OBJECTS} objects` } };
    const errors: unknown[] = [];
    const processed: Record<string, number> = {};
    for (const { name, objects } of arrays) {
      for (const [index, object] of objects.entries()) {
        const type = this.#refusal(name, object);
        if (type !== null) errors.push({ type, input_array: name, index });
        else {
          processed[`${name}_processed`] = (processed[`${name}_processed`] ?? 0) + 1;
          if (name === "attributes") this.users.write(object);
          else this[name].push(object);
        }
      }
    }
    const failed = errors.length === 0 ? {} : { errors };
    if (errors.length === count) return { status: 400, body: { message: empty, ...failed } };
    return { status: 201, body: { message: "success", ...processed, ...failed } };
  }

  #refusal(array: (typeof ARRAYS)[number], object: Item): string | null {
    if (!BrazeUsers.identifies(object)) return "'external_id' or 'braze_id' or 'user_alias' is required";
    if ((plainText(object["external_id"]) ?? "").length > 997) return "'external_id' is too long";
    const required = {
      attributes: [],
      events: ["name", "time"],
      purchases: ["product_id", "currency", "price", "time"],
    };
    const missing = required[array].find((name) => (plainText(object[name]) ?? "") === "");
    return missing === undefined ? null : `'${missing}' is required`;
  }

  #delete(given: Item): MockAnswer {
    const kinds = Object.entries(given) as [string, readonly (string | Alias | Item)[]][];
    const [[kind, ids] = ["", []]] = kinds;
    if (kinds.length !== 1 || ids.length > MOST_DELETED)
      return { status: 400, body: { message: `At most ${MOST_DELETED} of one kind` } };
    const prioritized = kind === "email_addresses" || kind === "phone_numbers";
    if (prioritized && ids.some((id) => !Array.isArray((id as Item)["prioritization"])))
      return { status: 400, body: { message: "prioritization is required" } };
    const deleted = ids.filter((id) => this.users.delete(kind, id)).length;
    return { status: 201, body: { deleted, message: "success" } };
  }

  #list(): MockAnswer {
    const catalogs = Object.entries(this.#catalogs).map(([name, fields]) => ({
      name,
      description: "",
      num_items: this.#itemsOf(name).size,
      updated_at: "2026-01-01T00:00:00.000+00:00",
      fields: Object.entries(fields).map(([field, type]) => ({ name: field, type })),
    }));
    return { status: 200, body: { catalogs, message: "success" } };
  }

  /** All of a request's items, or none. */
  #write(method: string, catalog: string, items: readonly Item[]): MockAnswer {
    const fields = this.#catalogs[catalog];
    if (fields === undefined)
      return invalid(404, { id: "catalog-not-found", message: "Could not find catalog", value: catalog });
    if (items.length > MOST_ITEMS)
      return invalid(400, { id: "request-includes-too-many-items", message: "Too many items" });
    const ids = items.map((item) => item["id"]);
    if (new Set(ids).size < ids.length) return invalid(400, { id: "ids-not-unique", message: "IDs are not unique" });
    for (const item of items) {
      const problem = problemOf(item, fields);
      if (problem !== null) return invalid(400, { ...problem, value: String(item["id"]) });
    }
    const held = this.#itemsOf(catalog);
    for (const item of items) {
      const id = String(item["id"]);
      if (method === "PUT") held.set(id, { ...item });
      else if (method === "DELETE") held.delete(id);
      else if (held.has(id)) Object.assign(held.get(id)!, item);
    }
    return { status: 202, body: { message: "success" } };
  }
}

function problemOf(item: Item, fields: Readonly<Record<string, string>>): Problem | null {
  const id = item["id"];
  if (id === undefined || id === null)
    return { id: "items-missing-ids", message: "There are 1 item(s) that do not have ids" };
  if (typeof id !== "string") return { id: "ids-not-strings", message: "IDs are strings" };
  if (id.length > ID_LENGTH) return { id: "ids-too-large", message: "IDs are too large" };
  if (!/^[\w-]+$/.test(id)) return { id: "invalid-ids", message: "IDs have letters, numbers, hyphens and underscores" };
  if (Object.keys(item).some((name) => !Object.hasOwn(fields, name)))
    return { id: "invalid-fields", message: "Some of the fields given do not exist in the catalog" };
  if (Object.values(item).some((value) => (plainText(value) ?? "").length > VALUE_LENGTH))
    return { id: "items-too-large", message: "Values are too large" };
  return null;
}

function invalid(status: number, { id, message, value }: Problem): MockAnswer {
  const parameters = value === undefined ? [] : ["id"];
  const error = { id, message, parameters, parameter_values: value === undefined ? [] : [value] };
  return { status, body: { errors: [error], message: "Invalid Request" } };
}

/** Braze's answer to too many requests: the window ends in so many seconds, 0: now. Only some of its APIs say how long that is. */
export function tooMany(seconds: number, saysHowLong = false): MockAnswer {
  const now = Date.now() / 1000;
  const endsAt = seconds === 0 ? Math.floor(now) : Math.ceil(now + seconds);
  return {
    status: 429,
    headers: {
      "x-ratelimit-limit": "3000",
      "x-ratelimit-remaining": "0",
      ...(saysHowLong ? { "x-ratelimit-retry-after": String(seconds) } : { "x-ratelimit-reset": String(endsAt) }),
    },
    body: { message: "Rate limit exceeded" },
  };
}
