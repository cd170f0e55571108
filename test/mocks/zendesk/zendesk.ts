// Zendesk Support, from its public description: users, organizations and tickets in bulk, jobs, own fields, limits.
// https://developer.zendesk.com/api-reference/ticketing/users/users/, …/organizations/organizations/, …/tickets/tickets/,
// …/ticket-management/job_statuses/, https://developer.zendesk.com/api-reference/introduction/rate-limits/
import { parseExact, plainText } from "../support/exact-json.ts";
import { type MockAnswer, type MockRequest, MockVendor } from "../support/mock.ts";

type Texts = Record<string, string | null>;
type Plural = "users" | "organizations" | "tickets";
type Input = Readonly<Record<string, unknown>>;

export interface OwnField {
  readonly type: "text" | "checkbox" | "integer" | "decimal" | "date" | "dropdown" | "multiselect";
  readonly options?: readonly string[];
}

interface Job {
  readonly id: string;
  /** null: it is done. */
  work: (() => unknown[]) | null;
  looks: number;
  readonly total: number;
  results: readonly unknown[];
}

const MOST_ROWS = 100;
const MOST_JOBS = 30;
const MOST_BYTES = 1_500_000;
const OWN: Readonly<Record<string, readonly [Plural, string]>> = {
  user_fields: ["users", "user_fields."],
  organization_fields: ["organizations", "organization_fields."],
  ticket_fields: ["tickets", "custom_fields."],
};

export class ZendeskMock implements AsyncDisposable {
  readonly server: MockVendor;
  /** By the plural of the object, then by id. */
  readonly records: Readonly<Record<Plural, Map<string, Texts>>> = {
    users: new Map(),
    organizations: new Map(),
    tickets: new Map(),
  };
  readonly jobs: Job[] = [];
  /** What a ticket was told, in order. */
  readonly comments: string[] = [];
  readonly #own: Readonly<Record<string, OwnField>>;
  token: string;
  #nextId = 9_007_199_254_740_000;

  private constructor(server: MockVendor, token: string, own: Readonly<Record<string, OwnField>>) {
    this.server = server;
    this.token = token;
    this.#own = own;
  }

  /** `own`: by `user_fields.KEY`, `organization_fields.KEY`, `custom_fields.ID`. */
  static async start(token: string, own: Readonly<Record<string, OwnField>> = {}): Promise<ZendeskMock> {
    const holder: { mock?: ZendeskMock } = {};
    const server = await MockVendor.start({ answer: (request) => holder.mock!.#answer(request) });
    holder.mock = new ZendeskMock(server, token, own);
    return holder.mock;
  }

  rotate(): string {
    this.token += "-next";
    return this.token;
  }

  clear(): void {
    for (const records of Object.values(this.records)) records.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }

  #answer(request: MockRequest): MockAnswer {
    const { path, headers, method, query } = request;
    if (path.join("/") === "oauth/tokens") return this.#oauth(new URLSearchParams(request.body));
    const basic = `Basic ${Buffer.from(`admin@acme.example/token:${this.token}`).toString("base64")}`;
    const given = headers["authorization"];
    if (given !== basic && given !== `Bearer ${this.token}`)
      return { status: 401, body: { error: "Couldn't authenticate you" } };
    if (request.body.length > MOST_BYTES) return { status: 413, body: { error: "RequestEntityTooLarge" } };
    const [, , area = "", action = ""] = path;
    if (area === "job_statuses") return this.#look(action);
    if (area in OWN) return this.#ownFields(OWN[area]!, area, query);
    if (area === "users" && action === "me") return { status: 200, body: { user: { id: 1, role: "admin" } } };
    if (!(area in this.records)) return { status: 404, body: { error: "InvalidEndpoint", description: "Not found" } };
    const plural = area as Plural;
    if (method === "GET") return this.#find(plural, action, query);
    if (this.jobs.filter(({ work }) => work !== null).length >= MOST_JOBS) return tooManyJobs();
    if (method === "DELETE") {
      const ids = query.get("ids")!.split(",");
      if (ids.length > MOST_ROWS) return tooManyRows();
      return this.#begin(ids.length, () => ids.map((id, index) => this.#destroy(plural, id, index)));
    }
    const inputs = (parseExact(request.body) as Readonly<Record<string, Input[]>>)[plural]!;
    if (inputs.length > MOST_ROWS) return tooManyRows();
    // In no order that is promised; what is told of upserts neither.
    return this.#begin(inputs.length, () =>
      inputs
        .map((input, index) => ({ input, index }))
        .toReversed()
        .map(({ input, index }) => this.#write(plural, action, flat(input), index)),
    );
  }

  #oauth(form: URLSearchParams): MockAnswer {
    if (
      form.get("grant_type") !== "client_credentials" ||
      form.get("client_secret") !== this.token ||
      form.get("scope") === null
    )
      return { status: 401, body: { error: "invalid_client" } };
    return {
      status: 200,
      body: { access_token: this.token, token_type: "bearer", scope: "read write", expires_in: 3600 },
    };
  }

  /** Jobs are done in turn, one in eight when it is looked at for the second time; those that nobody looks at before them. */
  #look(id: string): MockAnswer {
    const at = this.jobs.findIndex((job) => job.id === id);
    const job = this.jobs[at];
    if (job === undefined) return { status: 404, body: { error: "RecordNotFound", description: "Not found" } };
    job.looks += 1;
    if (job.work !== null && job.looks > (at % 8 === 5 ? 1 : 0)) {
      for (const each of this.jobs.slice(0, at + 1)) {
        each.results = each.work?.() ?? each.results;
        each.work = null;
      }
    }
    return { status: 200, body: { job_status: shown(job) } };
  }

  #begin(total: number, work: () => unknown[]): MockAnswer {
    const job: Job = { id: `82de0b044094f0c67893ac9fe64f1a${this.jobs.length}`, work, looks: 0, total, results: [] };
    this.jobs.push(job);
    return { status: 200, body: { job_status: shown(job) } };
  }

  #ownFields([, prefix]: readonly [Plural, string], list: string, query: URLSearchParams): MockAnswer {
    const all = Object.entries(this.#own)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, { type }], at) => ({
        id: list === "ticket_fields" ? Number(name.slice(prefix.length)) : at + 1,
        key: name.slice(prefix.length),
        type,
      }));
    // A page holds one, so that there are several.
    const at = Number(query.get("page[after]") ?? 0);
    const more = at + 1 < all.length;
    return {
      status: 200,
      body: { [list]: all.slice(at, at + 1), meta: { has_more: more, after_cursor: more ? String(at + 1) : null } },
    };
  }

  #find(plural: Plural, action: string, query: URLSearchParams): MockAnswer {
    const wanted = action === "show_many" ? query.get("external_ids")!.split(",") : [query.get("external_id") ?? ""];
    if (wanted.length > MOST_ROWS) return tooManyRows();
    const found = [...this.records[plural]].filter(([, { external_id }]) =>
      wanted.some((key) => same(external_id, key)),
    );
    // Ids are numbers beyond what a careless reader keeps; these are just within.
    return {
      status: 200,
      body: {
        [plural]: found.map(([id, record]) => ({ id: Number(id), external_id: record["external_id"] })),
        count: found.length,
      },
    };
  }

  #write(plural: Plural, action: string, { id: given, ...values }: Texts, index: number): unknown {
    const records = this.records[plural];
    const found = given ?? (action === "create_or_update_many" ? this.#known(plural, values) : undefined);
    const error = `${plural === "users" ? "User" : plural === "organizations" ? "Organization" : "Ticket"}${found === undefined ? "Create" : "Update"}Error`;
    // What is refused in an upsert is told with its place under the name of an id; see the note in the description of jobs.
    const failure = (details: string): unknown =>
      action === "create_or_update_many"
        ? { id: index, error, details, status: "Failed" }
        : { id: given, index, error, details, success: false };
    if (given !== undefined && !records.has(given!)) return failure("RecordNotFound");
    const before = found === undefined ? {} : records.get(found)!;
    const refused = this.#refusal(plural, { ...before, ...values }, found ?? null);
    if (refused !== null) return failure(refused);
    this.#nextId += 1;
    const id = found ?? String(this.#nextId);
    const { "comment.body": comment, ...kept } = values;
    if (typeof comment === "string") this.comments.push(comment);
    records.set(id, { ...before, ...kept });
    const { external_id, email } = { ...before, ...values };
    if (action === "create_or_update_many")
      return { id: Number(id), external_id, email, status: found === undefined ? "Created" : "Updated" };
    return action === "create_many"
      ? { id: Number(id), index }
      : { id: Number(id), action: "update", success: true, status: "Updated" };
  }

  #known(plural: Plural, { external_id, email }: Texts): string | undefined {
    const by = (name: string, value: string | null | undefined): string | undefined =>
      typeof value === "string" && value !== ""
        ? [...this.records[plural]].find(([, record]) => same(record[name], value))?.[0]
        : undefined;
    return by("external_id", external_id) ?? (plural === "users" ? by("email", email) : undefined);
  }

  /** null: it is right. */
  #refusal(plural: Plural, record: Texts, id: string | null): string | null {
    if (plural !== "tickets" && (record["name"] ?? "").trim() === "")
      return "Name: is too short (minimum is 1 characters)";
    if (plural === "tickets" && id === null && (record["comment.body"] ?? "") === "")
      return "Description: cannot be blank";
    const { email } = record;
    if (typeof email === "string" && !/^[^@\s]+@[^@\s]+\.[^@\s.]+$/.test(email))
      return `Email: ${email} is not properly formatted`;
    for (const name of plural === "users"
      ? ["external_id", "email"]
      : plural === "organizations"
        ? ["external_id", "name"]
        : []) {
      const value = record[name];
      const other = [...this.records[plural]].find(
        ([of, each]) => of !== id && typeof value === "string" && same(each[name], value),
      );
      if (other !== undefined) return `${name}: ${value} is already being used`;
    }
    for (const [name, { type, options }] of Object.entries(this.#own)) {
      const value = record[name] ?? null;
      if (value === null) continue;
      if (type === "decimal" && !/^-?\d+(\.\d+)?$/.test(value)) return `${name}: is invalid`;
      if (type === "date" && !/^\d{4}-\d\d-\d\d/.test(value)) return `${name}: is invalid`;
      if (type === "dropdown" && options?.includes(value) === false) return `${name}: ${value} is invalid`;
    }
    return null;
  }

  #destroy(plural: Plural, id: string, index: number): unknown {
    if (!this.records[plural].delete(id))
      return { id: Number(id), index, action: "delete", success: false, error: "RecordNotFound", details: "" };
    return { id: Number(id), index, action: "delete", success: true, status: "Deleted" };
  }
}

function same(a: string | null | undefined, b: string): boolean {
  return typeof a === "string" && a.toLowerCase() === b.toLowerCase();
}

/** `{"user_fields":{"a":1}}` → `user_fields.a`. */
function flat(input: Input): Texts {
  const texts: Texts = {};
  for (const [name, value] of Object.entries(input)) {
    if (name === "custom_fields")
      for (const each of value as readonly Input[])
        texts[`custom_fields.${plainText(each["id"])}`] = plainText(each["value"]);
    else if (/_fields$|^(comment|requester)$/.test(name))
      for (const [key, inner] of Object.entries(value as Input)) texts[`${name}.${key}`] = plainText(inner);
    else texts[name] = plainText(value);
  }
  return texts;
}

function shown({ id, work, looks, total, results }: Job): unknown {
  const done = work === null;
  return {
    id,
    url: `https://acme.zendesk.com/api/v2/job_statuses/${id}.json`,
    total,
    progress: done ? total : 0,
    status: done ? "completed" : looks === 0 ? "queued" : "working",
    message: done ? "Completed at 2026-01-01 00:00:00 +0000" : null,
    results: done ? results : null,
  };
}

function tooManyRows(): MockAnswer {
  return { status: 400, body: { error: "TooManyValues", description: "Maximum is 100 values" } };
}

function tooManyJobs(): MockAnswer {
  return {
    status: 429,
    body: { error: "TooManyJobs", description: "The user has exceeded the number of concurrent jobs" },
  };
}

/** Too many requests in a minute. */
export function tooMany(seconds: number): MockAnswer {
  return {
    status: 429,
    headers: { "retry-after": String(seconds), "x-rate-limit": "200", "x-rate-limit-remaining": "0" },
    body: { error: "APIRateLimitExceeded", description: "Number of allowed API requests per minute exceeded" },
  };
}
