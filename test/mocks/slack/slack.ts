// Slack's chat.postMessage and auth.test, from its public description: failures with status 200, limits of texts and blocks, ratelimited.
// https://docs.slack.dev/reference/methods/chat.postMessage, …/apis/web-api/rate-limits, …/messaging/formatting-message-text
import { type MockAnswer, type MockRequest, MockVendor } from "../support/mock.ts";

export interface Message {
  readonly channel: string;
  readonly text: string;
  readonly blocks: readonly unknown[];
  readonly username: string | null;
  readonly threadTs: string | null;
}

const TEXT_CHARACTERS = 40_000;
const MOST_BLOCKS = 50;

export class SlackMock implements AsyncDisposable {
  server!: MockVendor;
  token: string;
  readonly messages: Message[] = [];
  /** Channels that are archived; every other id of a channel or a person is there. */
  readonly archived = new Set<string>();
  #nextTs = 1;

  private constructor(token: string) {
    this.token = token;
  }

  static async start(token: string): Promise<SlackMock> {
    const mock = new SlackMock(token);
    mock.server = await MockVendor.start({ answer: (request) => mock.#answer(request) });
    return mock;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }

  #answer({ method, path, headers, body }: MockRequest): MockAnswer {
    if (method !== "POST") return failure("invalid_post_type");
    const given = headers["authorization"];
    if (given === undefined) return failure("not_authed");
    if (given !== `Bearer ${this.token}`) return failure("invalid_auth");
    const [name] = path;
    if (name === "auth.test")
      return {
        status: 200,
        body: {
          ok: true,
          url: "https://acme.slack.com/",
          team: "Acme",
          user: "tailrace",
          team_id: "T1",
          user_id: "U1",
          bot_id: "B1",
        },
      };
    if (name !== "chat.postMessage") return failure("unknown_method");
    if (!headers["content-type"]?.startsWith("application/json")) return failure("invalid_post_type");
    let message: Readonly<Record<string, unknown>>;
    try {
      message = JSON.parse(body) as Record<string, unknown>;
    } catch {
      return failure("invalid_json");
    }
    return this.#post(message);
  }

  #post({
    channel,
    text = "",
    blocks = [],
    username,
    thread_ts: threadTs,
  }: Readonly<Record<string, unknown>>): MockAnswer {
    if (typeof channel !== "string" || !/^[CDGU][A-Z0-9]{4,}$/.test(channel)) return failure("channel_not_found");
    if (this.archived.has(channel)) return failure("is_archived");
    if (typeof text !== "string") return failure("invalid_arguments");
    if (!Array.isArray(blocks)) return failure("invalid_blocks_format");
    if (blocks.length > MOST_BLOCKS || blocks.some((block) => typeof (block as { type?: unknown }).type !== "string"))
      return failure("invalid_blocks");
    if (text.trim() === "" && blocks.length === 0) return failure("no_text");
    const ts = `1700000000.${String(this.#nextTs++).padStart(6, "0")}`;
    const shown = text.slice(0, TEXT_CHARACTERS);
    this.messages.push({
      channel,
      text: shown,
      blocks: blocks as readonly unknown[],
      username: typeof username === "string" ? username : null,
      threadTs: typeof threadTs === "string" ? threadTs : null,
    });
    const message = { type: "message", bot_id: "B1", text: shown, ts };
    return { status: 200, body: { ok: true, channel, ts, message } };
  }
}

/** As a reader sees it. */
export function shownText(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

export function failure(error: string): MockAnswer {
  return { status: 200, body: { ok: false, error } };
}

export function tooMany(seconds: number): MockAnswer {
  return { status: 429, headers: { "retry-after": String(seconds) }, body: { ok: false, error: "ratelimited" } };
}
