// Salesforce's REST API, from its public description: tokens, describe, SOQL's IN, sObject Collections, Bulk API 2.0 (in jobs.ts).
// https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobjects_collections.htm
import { createPublicKey, verify } from "node:crypto";
import { parseExact, plainText } from "../support/exact-json.ts";
import { type MockAnswer, type MockRequest, MockVendor } from "../support/mock.ts";
import { IngestJobs } from "./jobs.ts";
import { type Failure, type Fields, SalesforceObject, type Texts } from "./object.ts";

const MOST_RECORDS = 200;
const MOST_URL = 16_384;

export interface SalesforceMockOptions {
  readonly secret: string;
  readonly objects: Readonly<Record<string, Fields>>;
  /** PEM of the certificate's key: the JWT bearer flow, beside the client's secret. */
  readonly publicKey?: string;
}

export class SalesforceMock implements AsyncDisposable {
  readonly server: MockVendor;
  readonly jobs: IngestJobs;
  readonly #options: SalesforceMockOptions;
  readonly #objects: ReadonlyMap<string, SalesforceObject>;
  secret: string;
  /** The session that is valid; every grant begins one. */
  #session = "";
  sessions = 0;

  private constructor(server: MockVendor, options: SalesforceMockOptions) {
    this.server = server;
    this.#options = options;
    this.secret = options.secret;
    this.#objects = new Map(
      Object.entries(options.objects).map(([name, fields]) => [
        name,
        new SalesforceObject(name, fields, (other) => this.#objects.get(other)),
      ]),
    );
    this.jobs = new IngestJobs((name) => this.#objects.get(name));
  }

  static async start(options: SalesforceMockOptions): Promise<SalesforceMock> {
    const holder: { mock?: SalesforceMock } = {};
    const server = await MockVendor.start({ answer: (request) => holder.mock!.#answer(request) });
    holder.mock = new SalesforceMock(server, options);
    return holder.mock;
  }

  /** Records by id. */
  records(object: string): ReadonlyMap<string, Texts> {
    return this.#objects.get(object)!.records;
  }

  object(name: string): SalesforceObject {
    return this.#objects.get(name)!;
  }

  clear(): void {
    for (const object of this.#objects.values()) object.records.clear();
  }

  rotate(): string {
    this.secret += "-next";
    this.endSession();
    return this.secret;
  }

  endSession(): void {
    this.#session = "";
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }

  #answer(request: MockRequest): MockAnswer {
    const { path, headers, url, method } = request;
    if (path.join("/") === "services/oauth2/token") return this.#token(new URLSearchParams(request.body));
    if (this.#session === "" || headers["authorization"] !== `Bearer ${this.#session}`)
      return problem(401, "INVALID_SESSION_ID", "Session expired or invalid");
    if (url.length > MOST_URL) return { status: 414 };
    const [, , version, area, ...rest] = path;
    if (version !== "v62.0") return problem(404, "NOT_FOUND", "The requested resource does not exist");
    if (area === undefined) return { status: 200, body: { sobjects: "/services/data/v62.0/sobjects" } };
    if (area === "sobjects") return this.#describe(rest[0]!);
    if (area === "query") return this.#query(request.query.get("q") ?? "");
    if (area === "jobs") return this.jobs.answer(request, rest.slice(1));
    if (area !== "composite") return problem(404, "NOT_FOUND", "The requested resource does not exist");
    if (method === "DELETE") return this.#delete(request.query.get("ids")!.split(","));
    return this.#write(method, rest.slice(1), request.body);
  }

  #token(form: URLSearchParams): MockAnswer {
    const grant = form.get("grant_type");
    const right =
      grant === "client_credentials"
        ? form.get("client_secret") === this.secret
        : grant === "refresh_token"
          ? form.get("refresh_token") === this.secret
          : this.#assertionHolds(form.get("assertion") ?? "");
    if (!right)
      return {
        status: 400,
        body:
          grant === "client_credentials"
            ? { error: "invalid_client", error_description: "invalid client credentials" }
            : { error: "invalid_grant", error_description: "expired access/refresh token" },
      };
    this.sessions += this.#session === "" ? 1 : 0;
    this.#session ||= `00D${this.sessions}!${this.secret}`;
    return {
      status: 200,
      body: { access_token: this.#session, instance_url: "https://acme.my.salesforce.com", token_type: "Bearer" },
    };
  }

  #assertionHolds(assertion: string): boolean {
    const [head, claims, signature] = assertion.split(".");
    const { publicKey } = this.#options;
    if (publicKey === undefined || signature === undefined) return false;
    const signed = Buffer.from(`${head}.${claims}`);
    if (!verify("sha256", signed, createPublicKey(publicKey), Buffer.from(signature, "base64url"))) return false;
    const { iss, sub, aud, exp } = JSON.parse(Buffer.from(claims!, "base64url").toString()) as Record<string, unknown>;
    const lasts = Number(exp) - Date.now() / 1000;
    return (
      iss === "app" && sub === "etl@acme.example" && aud === "https://login.salesforce.com" && lasts > 0 && lasts <= 180
    );
  }

  #describe(name: string): MockAnswer {
    const object = this.#objects.get(name);
    if (object === undefined) return problem(404, "NOT_FOUND", "The requested resource does not exist");
    return { status: 200, body: object.described() };
  }

  #query(soql: string): MockAnswer {
    const match = /^SELECT Id, (\w+) FROM (\w+) WHERE (\w+) IN \((.*)\)$/s.exec(soql);
    if (match === null || match[1] !== match[3]) return problem(400, "MALFORMED_QUERY", "unexpected token");
    const object = this.#objects.get(match[2]!);
    const field = object?.fields[match[1]!];
    if (object === undefined) return problem(400, "INVALID_TYPE", `sObject type '${match[2]}' is not supported.`);
    if (field === undefined) return problem(400, "INVALID_FIELD", `No such column '${match[1]}' on entity`);
    const literals = [...match[4]!.matchAll(/'((?:[^'\\]|\\.)*)'|[^',]+/gs)];
    const quoted = literals.some(([literal]) => literal.startsWith("'"));
    if (quoted !== (field.type !== "double"))
      return problem(
        400,
        "INVALID_FIELD",
        `value of filter criterion for field '${match[1]}' must be of type ${field.type}`,
      );
    const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };
    const wanted = literals.map(([literal, text]) =>
      text === undefined ? literal : text.replaceAll(/\\(.)/gs, (_, letter: string) => escapes[letter] ?? letter),
    );
    const found = wanted.flatMap((value) => object.idsBy(match[1]!, value));
    const records = [...new Set(found)].map((id) => {
      const value = object.records.get(id)![match[1]!]!;
      return { attributes: { type: match[2] }, Id: id, [match[1]!]: field.type === "double" ? Number(value) : value };
    });
    return { status: 200, body: { totalSize: records.length, done: true, records } };
  }

  #write(method: string, [name, externalId]: readonly string[], body: string): MockAnswer {
    const { records, allOrNone } = parseExact(body) as { records: Record<string, unknown>[]; allOrNone: unknown };
    if (allOrNone !== false) return problem(400, "INVALID_INPUT", "allOrNone");
    if (records.length > MOST_RECORDS)
      return problem(400, "LIMIT_EXCEEDED", "record limit reached. cannot submit more than 200 records in this call");
    const parsed: { object: SalesforceObject; values: Texts; id: string | null }[] = [];
    for (const { attributes, id, ...members } of records) {
      const type = (attributes as { type: string }).type;
      const object = this.#objects.get(type);
      if (object === undefined || (name !== undefined && type !== name))
        return problem(400, "INVALID_TYPE", `sObject type '${type}' is not supported.`);
      const fault = object.deserialize(members);
      if (fault !== null) return problem(400, fault.statusCode, fault.message);
      const values = Object.fromEntries(
        Object.entries(members).map(([field, value]) => {
          const related = typeof value === "object" && value !== null ? Object.entries(value)[0] : undefined;
          // A number is an object of the parser's.
          if (related === undefined || object.fields[field] !== undefined) return [field, plainText(value)];
          return [`${field}.${related[0]}`, plainText(related[1])];
        }),
      );
      parsed.push({ object, values, id: typeof id === "string" ? id : null });
    }
    const seen = new Set<string>();
    const results = parsed.map(({ object, values, id }) => {
      if (method === "POST") return result(object.create(values));
      if (externalId === undefined) return result(object.update(id!, values));
      const key = object.folded(externalId, values[externalId] ?? "");
      if (seen.has(key))
        return result({
          statusCode: "DUPLICATE_VALUE",
          message: `Duplicate external id specified: ${key}`,
          fields: [externalId],
        });
      seen.add(key);
      return result(object.upsert(externalId, values));
    });
    return { status: 200, body: results };
  }

  #delete(ids: readonly string[]): MockAnswer {
    if (ids.length > MOST_RECORDS)
      return problem(400, "LIMIT_EXCEEDED", "record limit reached. cannot submit more than 200 records in this call");
    const results = ids.map((id) => {
      for (const object of this.#objects.values()) if (object.records.delete(id)) return result({ id, created: false });
      return result({ statusCode: "ENTITY_IS_DELETED", message: "entity is deleted", fields: [] });
    });
    return { status: 200, body: results };
  }
}

function result(outcome: { readonly id: string; readonly created: boolean } | Failure): unknown {
  if ("id" in outcome) return { ...outcome, success: true, errors: [] };
  return { success: false, errors: [outcome] };
}

export function problem(status: number, errorCode: string, message: string): MockAnswer {
  return { status, body: [{ message, errorCode }] };
}

/** Too many requests in 24 hours. Salesforce itself does not say for how long; what stands before it may. */
export function tooMany(headers: Readonly<Record<string, string>> = {}): MockAnswer {
  return { ...problem(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."), headers };
}
