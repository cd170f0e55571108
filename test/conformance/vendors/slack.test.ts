import type { Document } from "openapi-backend";
import slack from "../../../src/destinations/slack/index.ts";
import { SlackMock, shownText, tooMany } from "../../mocks/slack/slack.ts";
import { loadDescription } from "../../mocks/support/openapi.ts";
import { describeVendor } from "../vendor-destination.ts";
import type { VendorHarness } from "../vendor-harness.ts";

interface Parameter {
  readonly in: string;
  readonly name: string;
  readonly required?: boolean;
  readonly type?: string;
}

/**
 * From Swagger 2 to what the validator reads. The token comes as a header of another name, and in a JSON body blocks are an array: both are
 * allowed by Slack's guide to its Web API, and not in the description.
 */
function mend(document: Document): void {
  const mended = document as unknown as Record<string, unknown>;
  delete mended["swagger"];
  mended["openapi"] = "3.0.3";
  const paths = mended["paths"] as Record<string, Record<string, Record<string, unknown>>>;
  for (const name of Object.keys(paths)) if (!["/chat.postMessage", "/auth.test"].includes(name)) delete paths[name];
  // It may be asked by POST as well, as every method.
  paths["/auth.test"]!["post"] ??= structuredClone(paths["/auth.test"]!["get"]!);
  for (const operation of Object.values(paths).flatMap((path) => Object.values(path))) {
    const form = (operation["parameters"] as Parameter[]).filter((parameter) => parameter.in === "formData");
    operation["parameters"] = [];
    operation["responses"] = {};
    if (form.length === 0) continue;
    const properties = form.map(({ name, type }) => [
      name,
      name === "blocks" || name === "attachments" ? { type: "array", items: { type: "object" } } : { type },
    ]);
    const schema = {
      type: "object",
      additionalProperties: false,
      required: form.filter(({ required }) => required === true).map(({ name }) => name),
      properties: Object.fromEntries(properties) as unknown,
    };
    operation["requestBody"] = { content: { "application/json": { schema } } };
  }
}

const messages: VendorHarness = {
  name: "messages",
  object: null,
  columns: { channel: "text", text: "text", username: "text", blocks: "jsonb" },
  key: (n) => `C${String(n).padStart(8, "0")}`,
  values: {
    text: (random) => random.pick(["hello", "a < b && c > d", "<!channel>", "日本語 🚰", 'say "no"', "&amp;", "a\nb"]),
    blocks: (random) => random.pick([null, "[]", '[{"type":"divider"}]']),
  },
  stored: (column, text) => (column === "blocks" ? (text ?? "[]") : text),
  marker: "text",
  // Of hundreds of requests, one for each row.
  faultRate: 0.01,
  poison: { channel: "nowhere" },
  throttled: tooMany,
  writes: ({ url }) => url === "/chat.postMessage",
  silent: [
    { status: 200, body: {} },
    { status: 200, body: "" },
    { status: 200, body: "<html>" },
  ],
  description: {
    file: "slack-web-v2.json",
    load: () => loadDescription("slack-web-v2.json", { mend }),
    wrong: {
      method: "POST",
      url: "/chat.postMessage",
      headers: { "content-type": "application/json", authorization: "Bearer x" },
      body: '{"channel":"C1","text":7}',
    },
  },
  waived: {},
  async start(secret) {
    const mock = await SlackMock.start(`xoxb-${secret}`);
    return {
      mock: mock.server,
      settings: (token) => ({ token, base_url: mock.server.url, allow_private: true, timeout_ms: 5000 }),
      get token() {
        return mock.token;
      },
      rotate() {
        mock.token = `${mock.token}-next`;
        return mock.token;
      },
      state: () =>
        new Map(
          mock.messages.map(({ channel, text, username, blocks }) => [
            channel,
            { channel, text: shownText(text), username, blocks: JSON.stringify(blocks) },
          ]),
        ),
      events: () => mock.messages.map(({ text }) => shownText(text)),
      clear: () => void (mock.messages.length = 0),
      [Symbol.asyncDispose]: () => mock[Symbol.asyncDispose](),
    };
  },
};

describeVendor(slack, [messages]);
