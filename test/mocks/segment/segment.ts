// Segment's HTTP tracking API, from its public description: it answers 200 before it looks, and drops what is not right.
// https://www.twilio.com/docs/segment/connections/sources/catalog/libraries/server/http-api
import { parseExact, plainText } from "../support/exact-json.ts";
import { type MockAnswer, type MockRequest, MockVendor } from "../support/mock.ts";

type Json = Readonly<Record<string, unknown>>;
export type Texts = Map<string, string>;

export interface TrackCall {
  readonly userId: string;
  readonly event: string;
  readonly timestamp: string | null;
  readonly properties: Texts;
}

const BATCH_BYTES = 500_000;
const CALL_BYTES = 32_768;
const MOST_CALLS = 2500;
const KEY_CHARACTERS = 32;

export class SegmentMock implements AsyncDisposable {
  server!: MockVendor;
  readonly writeKey: string;
  readonly tracked: TrackCall[] = [];
  readonly users = new Map<string, Texts>();
  /** `GROUP USER` */
  readonly memberships = new Map<string, Texts>();
  /** Calls that were taken with 200, and that nobody will see. */
  readonly dropped: string[] = [];
  readonly #messageIds = new Set<string>();

  private constructor(writeKey: string) {
    this.writeKey = writeKey;
  }

  /** `writeKey`: at least 32 characters. */
  static async start(writeKey: string): Promise<SegmentMock> {
    const mock = new SegmentMock(writeKey);
    mock.server = await MockVendor.start({ answer: (request) => mock.#answer(request) });
    return mock;
  }

  clear(): void {
    this.tracked.length = 0;
    this.dropped.length = 0;
    for (const records of [this.users, this.memberships, this.#messageIds]) records.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }

  #answer({ method, path, headers, body }: MockRequest): MockAnswer {
    if (method !== "POST" || path.join("/") !== "batch") return { status: 404 };
    const [key = ""] = Buffer.from((headers["authorization"] ?? "").slice("Basic ".length), "base64")
      .toString()
      .split(":");
    if (key.length < KEY_CHARACTERS) return refused("Invalid write key");
    if (Buffer.byteLength(body) > BATCH_BYTES) return refused("batch exceeds 500kb");
    let batch: readonly Json[] | undefined;
    try {
      batch = (parseExact(body) as { batch?: readonly Json[] }).batch;
    } catch {
      return refused("malformed JSON");
    }
    if (!Array.isArray(batch)) return refused("batch is missing");
    for (const [at, call] of (batch as readonly Json[]).entries()) {
      const lost = key !== this.writeKey ? "no such source" : at >= MOST_CALLS ? "too many" : this.#take(call);
      if (lost !== null) this.dropped.push(lost);
    }
    return { status: 200, body: { success: true } };
  }

  /** Null: it is there. */
  #take(call: Json): string | null {
    const size = JSON.stringify(call).length;
    const { type, messageId, event, groupId, timestamp } = call;
    const userId = call["userId"] ?? call["anonymousId"];
    if (size > CALL_BYTES) return "too large";
    if (typeof userId !== "string" || userId === "") return "no_user_anon_id";
    if (typeof messageId !== "string" || messageId.length >= 100) return "no message id";
    // A repeat is no loss.
    if (this.#messageIds.has(messageId)) return null;
    this.#messageIds.add(messageId);
    if (type === "track") {
      if (typeof event !== "string" || event === "") return "no event";
      const properties = textsOf(call["properties"] as Json);
      this.tracked.push({ userId, event, timestamp: typeof timestamp === "string" ? timestamp : null, properties });
      return null;
    }
    const traits = textsOf(call["traits"] as Json);
    if (type === "identify") merge(this.users, userId, traits);
    else if (type === "group" && typeof groupId === "string") merge(this.memberships, `${groupId} ${userId}`, traits);
    else return "no such call";
    return null;
  }
}

function merge(records: Map<string, Texts>, key: string, traits: Texts): void {
  records.set(key, new Map([...(records.get(key) ?? []), ...traits]));
}

function textsOf(properties: Json): Texts {
  return new Map(Object.entries(properties).map(([name, value]) => [name, plainText(value) ?? ""] as const));
}

function refused(message: string): MockAnswer {
  return { status: 400, body: { success: false, message } };
}

export function tooMany(seconds: number): MockAnswer {
  return { status: 429, headers: { "retry-after": String(seconds) }, body: { success: false, message: "slow down" } };
}
