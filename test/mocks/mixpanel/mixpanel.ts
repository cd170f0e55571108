// Mixpanel's ingestion API, from its public description: import with strict=1, updates of user and group profiles, its limits.
// https://docs.mixpanel.com/reference/import-events, …/troubleshooting/errors, …/profile-batch-update, …/group-batch-update
import { parseExact, plainText } from "../support/exact-json.ts";
import { type MockAnswer, type MockRequest, MockVendor } from "../support/mock.ts";

type Json = Readonly<Record<string, unknown>>;
type Properties = Map<string, string>;

interface Failure {
  readonly field: string;
  readonly message: string;
}

const MOST_BYTES = 2_097_152;
const MOST_RECORDS = 2000;
const MOST_PROPERTIES = 255;
const NOBODY = ["anon", "anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown"];

export class MixpanelMock implements AsyncDisposable {
  server!: MockVendor;
  readonly projectId = "1234567";
  readonly projectToken = "project-token-1";
  readonly user = "account-1";
  secret: string;
  /** By what makes an event a repeat; the last one holds. */
  readonly events = new Map<string, { readonly event: string; readonly properties: Properties }>();
  readonly users = new Map<string, Properties>();
  /** `KEY ID` */
  readonly groups = new Map<string, Properties>();

  private constructor(secret: string) {
    this.secret = secret;
  }

  static async start(secret: string): Promise<MixpanelMock> {
    const mock = new MixpanelMock(secret);
    mock.server = await MockVendor.start({ answer: (request) => mock.#answer(request) });
    return mock;
  }

  clear(): void {
    for (const records of [this.events, this.users, this.groups]) records.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }

  #answer({ method, path, query, headers, body }: MockRequest): MockAnswer {
    const expected = Buffer.from(`${this.user}:${this.secret}`).toString("base64");
    if (headers["authorization"] !== `Basic ${expected}`)
      return { status: 401, body: { code: 401, error: "Invalid credentials", status: "Unauthorized" } };
    const [name] = path;
    if (method === "GET" && name === "lookup-tables")
      return { status: 200, body: { code: 200, status: "OK", results: [] } };
    if (Buffer.byteLength(body) > MOST_BYTES)
      return {
        status: 413,
        body: {
          code: 413,
          error: `request exceeds max limit of ${MOST_BYTES} bytes`,
          status: "Request Entity Too Large",
        },
      };
    let records: readonly Json[];
    try {
      records = parseExact(body) as Json[];
    } catch {
      return badRequest("invalid JSON");
    }
    if (!Array.isArray(records)) return badRequest("expected a list");
    if (records.length > MOST_RECORDS) return badRequest(`at most ${MOST_RECORDS} records are taken`);
    if (name === "import") {
      if (query.get("project_id") !== this.projectId) return badRequest("project_id is missing");
      return this.#import(records);
    }
    if (name === "engage" || name === "groups") return this.#update(name, records, query.get("strict") === "1");
    return { status: 404 };
  }

  #import(records: readonly Json[]): MockAnswer {
    const failed: unknown[] = [];
    for (const [index, record] of records.entries()) {
      const properties = (record["properties"] ?? {}) as Json;
      const failure = refusal(record, properties);
      if (failure === null) {
        const texts = textsOf(properties);
        const key = JSON.stringify([
          record["event"],
          ...["time", "distinct_id", "$insert_id"].map((each) => texts.get(each)),
        ]);
        this.events.set(key, { event: String(record["event"]), properties: texts });
      } else failed.push({ index, insert_id: properties["$insert_id"], ...failure });
    }
    const taken = records.length - failed.length;
    if (failed.length === 0) return { status: 200, body: { code: 200, num_records_imported: taken, status: "OK" } };
    return {
      status: 400,
      body: {
        code: 400,
        error: "some data points in the request failed validation",
        num_records_imported: taken,
        status: "Bad Request",
        failed_records: failed,
      },
    };
  }

  #update(kind: "engage" | "groups", records: readonly Json[], strict: boolean): MockAnswer {
    const failed: unknown[] = [];
    for (const [index, record] of records.entries()) {
      const id = kind === "engage" ? record["$distinct_id"] : record["$group_id"];
      const whole = record["$token"] === this.projectToken && typeof id === "string";
      if (!whole || id === "") failed.push({ index, field: "$distinct_id", message: `'${String(id)}' is invalid` });
      else if (!this.#apply(kind, id, record)) failed.push({ index, field: "", message: "no operation" });
    }
    if (strict && failed.length > 0)
      return {
        status: 400,
        body: {
          code: 400,
          error: "some data points in the request failed validation",
          status: "Bad Request",
          failed_records: failed,
        },
      };
    // Without `strict` one that is valid is enough.
    const good = failed.length < records.length;
    return { status: 200, body: { status: good ? 1 : 0, error: good ? null : "no data objects are valid" } };
  }

  #apply(kind: "engage" | "groups", id: string, record: Json): boolean {
    const profiles = kind === "engage" ? this.users : this.groups;
    const key = kind === "engage" ? id : `${String(record["$group_key"])} ${id}`;
    const profile = profiles.get(key) ?? new Map<string, string>();
    if ("$delete" in record) profiles.delete(key);
    else if (typeof record["$set"] === "object") {
      for (const [name, text] of textsOf(record["$set"] as Json)) profile.set(name, text);
      profiles.set(key, profile);
    } else if (Array.isArray(record["$unset"])) {
      for (const name of record["$unset"]) profile.delete(String(name));
    } else return false;
    return true;
  }
}

function refusal(record: Json, properties: Json): Failure | null {
  const { event } = record;
  if (typeof event !== "string" || event === "")
    return { field: "event", message: "'event' must not be missing or blank" };
  const texts = textsOf(properties);
  const [id, insertId, time] = ["distinct_id", "$insert_id", "time"].map((name) => texts.get(name));
  if (typeof properties["distinct_id"] !== "string")
    return { field: "properties.distinct_id", message: "'properties.distinct_id' is invalid: must be a string" };
  if (NOBODY.includes(id!.toLowerCase()))
    return { field: "properties.distinct_id", message: `'properties.distinct_id' is invalid: ${id}` };
  if (insertId === undefined || !/^[A-Za-z0-9-]{1,36}$/.test(insertId))
    return { field: "properties.$insert_id", message: "'properties.$insert_id' is invalid" };
  if (time === undefined || typeof properties["time"] === "string" || !/^\d+$/.test(time))
    return { field: "properties.time", message: `'properties.time' is invalid: ${time}` };
  if (texts.size > MOST_PROPERTIES) return { field: "properties", message: "too many properties" };
  return null;
}

function textsOf(properties: Json): Properties {
  return new Map(
    Object.entries(properties).flatMap(([name, value]) => {
      const text = plainText(value);
      return text === null ? [] : [[name, text] as const];
    }),
  );
}

function badRequest(error: string): MockAnswer {
  return { status: 400, body: { code: 400, error, status: "Bad Request" } };
}

export function tooMany(seconds: number): MockAnswer {
  const error = "Project exceeded rate limits. Please retry the request with exponential backoff.";
  return {
    status: 429,
    headers: { "retry-after": String(seconds) },
    body: { code: 429, error, status: "Too Many Requests" },
  };
}
