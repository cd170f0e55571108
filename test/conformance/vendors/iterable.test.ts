import iterable from "../../../src/destinations/iterable/index.ts";
import { IterableMock, tooMany } from "../../mocks/iterable/iterable.ts";
import type { State } from "../../support/oracle.ts";
import { describeVendor } from "../vendor-destination.ts";
import type { VendorCounterpart, VendorHarness } from "../vendor-harness.ts";

async function start(secret: string): Promise<VendorCounterpart> {
  const mock = await IterableMock.start(`key-${secret}`, {
    schema: {
      firstName: "string",
      ltv: "double",
      orders: "long",
      optedIn: "boolean",
      born: "date",
      lastSeen: "date",
    },
  });
  const state = (): State =>
    new Map(mock.users.map(({ email, fields }) => [email ?? "", { email, ...Object.fromEntries(fields) }]));
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
    state,
    events: () => [...mock.events.values()].map(({ fields }) => fields.get("marker")!),
    clear: () => mock.clear(),
    [Symbol.asyncDispose]: () => mock[Symbol.asyncDispose](),
  };
}

const common: Pick<VendorHarness, "throttled" | "writes" | "silent" | "start"> = {
  throttled: tooMany,
  writes: ({ method, url }) => method === "DELETE" || /bulkUpdate|trackBulk/.test(url),
  silent: [
    { status: 200, body: {} },
    { status: 200, body: "" },
    { status: 200, body: { successCount: 0, failCount: 3 } },
  ],
  start,
};

const harnesses: readonly VendorHarness[] = [
  {
    ...common,
    name: "users by e-mail",
    // Each that is deleted is a request.
    faultRate: 0.1,
    object: "users",
    columns: {
      email: "text",
      firstName: "text",
      ltv: "numeric",
      orders: "bigint",
      optedIn: "boolean",
      born: "date",
      lastSeen: "timestamp with time zone",
    },
    key: (n) => `user${n}@example.com`,
    stored: (column, text) =>
      column === "lastSeen" && text !== null ? `${text.slice(0, 23).replace(" ", "T")}Z` : text,
    poison: { email: "not-an-address" },
    waived: {},
  },
  {
    ...common,
    name: "events",
    object: "events",
    columns: { userId: "text", eventName: "text", marker: "text", note: "text" },
    values: { eventName: (random) => random.pick(["signed up", "注文"]) },
    options: { create_fields: true },
    marker: "marker",
    poison: { userId: "not an id" },
    waived: { "unknown field": "events take fields of any name" },
  },
];

describeVendor(iterable, harnesses);
