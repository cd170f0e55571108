// Meta's Conversions API, from its public description: a pixel's events, all of a request or none, errors with subcodes, usage headers.
// https://developers.facebook.com/docs/marketing-api/conversions-api/using-the-api and …/parameters, …/docs/graph-api/guides/error-handling
import { JsonNumber, parseExact } from "../support/exact-json.ts";
import { type MockAnswer, type MockRequest, MockVendor } from "../support/mock.ts";

type Json = Readonly<Record<string, unknown>>;

const MOST_EVENTS = 1000;
const MOST_BYTES = 4_000_000;
const DAYS_7 = 604_800;
const SOURCES = "email website app phone_call chat physical_store system_generated business_messaging other".split(" ");
const HASHED = "em ph fn ln ct st zp country db ge external_id".split(" ");

export class MetaMock implements AsyncDisposable {
  server!: MockVendor;
  readonly pixelId = "1234567890";
  token: string;
  /** Unix seconds; the first is that of the changes of tests. */
  now = 1_700_000_600;
  /** By what makes an event a repeat; the first one holds. */
  readonly events = new Map<string, Json>();
  testEvents = 0;

  private constructor(token: string) {
    this.token = token;
  }

  static async start(token: string): Promise<MetaMock> {
    const mock = new MetaMock(token);
    mock.server = await MockVendor.start({ answer: (request) => mock.#answer(request) });
    return mock;
  }

  clear(): void {
    this.events.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }

  #answer({ method, path, headers, body }: MockRequest): MockAnswer {
    if (headers["authorization"] !== `Bearer ${this.token}`)
      return graphError(400, { message: "Invalid OAuth access token.", code: 190 });
    const [version, node, edge] = path;
    if (!/^v\d+\.\d+$/.test(version ?? "")) return graphError(400, { message: "Unknown path components", code: 2500 });
    if (method === "GET" && node === "me") return { status: 200, body: { id: "122" } };
    if (node !== this.pixelId || edge !== "events" || method !== "POST")
      return graphError(400, {
        message: `Unsupported post request. Object with ID '${node}' does not exist, cannot be loaded due to missing permissions`,
        code: 100,
        error_subcode: 33,
      });
    if (Buffer.byteLength(body) > MOST_BYTES) return { status: 413, body: "" };
    const { data, test_event_code: test } = parseExact(body) as { data?: readonly Json[]; test_event_code?: string };
    if (!Array.isArray(data) || data.length === 0 || data.length > MOST_EVENTS)
      return graphError(400, { message: "(#100) param data must be non-empty, of at most 1000 items", code: 100 });
    for (const event of data as readonly Json[]) {
      const refusal = this.#refusal(event);
      if (refusal !== null) return graphError(400, { message: "Invalid parameter", code: 100, ...refusal });
    }
    for (const event of data as readonly Json[]) {
      if (test !== undefined) this.testEvents += 1;
      else {
        const key = JSON.stringify([event["event_name"], event["event_id"]]);
        if (!this.events.has(key)) this.events.set(key, event);
      }
    }
    return { status: 200, body: { events_received: data.length, messages: [], fbtrace_id: "A1" } };
  }

  #refusal(event: Json): { readonly error_subcode?: number; readonly error_user_msg: string } | null {
    const { event_name: name, event_time: time, action_source: source, user_data: user, event_source_url: url } = event;
    if (typeof name !== "string" || name === "") return { error_user_msg: "event_name is required" };
    if (!(time instanceof JsonNumber) || !/^\d+$/.test(time.text))
      return { error_user_msg: "event_time is no integer" };
    if (Number(time.text) < this.now - DAYS_7)
      return { error_subcode: 2_804_003, error_user_msg: "Event Timestamp Too Old" };
    if (Number(time.text) > this.now + 60) return { error_user_msg: "event_time is in the future" };
    if (!SOURCES.includes(source as string)) return { error_user_msg: `action_source '${String(source)}' is invalid` };
    const data = (user ?? {}) as Json;
    if (Object.keys(data).length === 0)
      return { error_subcode: 2_804_050, error_user_msg: "This event does not have enough customer information" };
    if (source === "website" && (data["client_user_agent"] === undefined || url === undefined))
      return { error_user_msg: "client_user_agent and event_source_url are required" };
    for (const field of HASHED.filter((each) => Object.hasOwn(data, each))) {
      const values = [data[field]].flat();
      if (values.length === 0) return { error_user_msg: `${field} is empty` };
      for (const value of values)
        if (typeof value !== "string" || !/^[0-9a-f]{64}$/.test(value))
          return { error_user_msg: `${field} is not hashed: ${String(value)}` };
    }
    const limited = event["data_processing_options"];
    if (limited !== undefined && !(Array.isArray(limited) && limited.every((each) => each === "LDU")))
      return { error_user_msg: "data_processing_options is invalid" };
    return null;
  }
}

function graphError(status: number, error: Readonly<Record<string, unknown>>): MockAnswer {
  return { status, body: { error: { type: "OAuthException", fbtrace_id: "A1", ...error } } };
}

/** Too many requests for the ad account, until `seconds` from now. */
export function tooMany(seconds: number): MockAnswer {
  const usage = { acc_id_util_pct: 100, reset_time_duration: seconds, ads_api_access_tier: "standard_access" };
  return {
    ...graphError(400, { message: "There have been too many calls from this ad-account.", code: 80_004 }),
    headers: { "x-ad-account-usage": JSON.stringify(usage) },
  };
}
