import sendgrid from "../../../src/destinations/sendgrid/index.ts";
import { SendGridMock, tooMany } from "../../mocks/sendgrid/sendgrid.ts";
import { describeVendor } from "../vendor-destination.ts";
import type { VendorCounterpart, VendorHarness } from "../vendor-harness.ts";

async function start(secret: string): Promise<VendorCounterpart> {
  const mock = await SendGridMock.start(`SG.${secret}`);
  return {
    mock: mock.server,
    settings: (token) => ({ api_key: token, base_url: mock.server.url, allow_private: true, timeout_ms: 5000 }),
    get token() {
      return mock.apiKey;
    },
    rotate() {
      mock.apiKey = `${mock.apiKey}-next`;
      return mock.apiKey;
    },
    state: () => new Map(mock.mails.map(({ to, name, data }) => [to, { email: to, name, ...data }])),
    events: () => mock.mails.map(({ data }) => data["marker"]!),
    clear: () => void (mock.mails.length = 0),
    [Symbol.asyncDispose]: () => mock[Symbol.asyncDispose](),
  };
}

const mails: VendorHarness = {
  name: "mails from a template",
  object: null,
  options: { from: { email: "hello@example.com" }, template: "d-0123456789abcdef" },
  columns: { email: "text", name: "text", marker: "text", amount: "numeric", paid: "boolean", doc: "jsonb" },
  key: (n) => `user${n}@example.com`,
  values: { doc: () => '{"a":1}' },
  // No name is none.
  stored: (column, text) => (column === "name" && text === "" ? null : text),
  marker: "marker",
  poison: { email: "nobody" },
  throttled: tooMany,
  writes: ({ method }) => method === "POST",
  silent: [{ status: 200, body: {} }, { status: 204 }],
  waived: { "unknown field": "it takes data of any name" },
  start,
};

describeVendor(sendgrid, [mails]);
