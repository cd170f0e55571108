import braze from "../../../src/destinations/braze/index.ts";
import { BrazeMock, tooMany } from "../../mocks/braze/braze.ts";
import { plainText } from "../../mocks/support/exact-json.ts";
import type { State } from "../../support/oracle.ts";
import { describeVendor } from "../vendor-destination.ts";
import type { VendorCounterpart, VendorHarness } from "../vendor-harness.ts";

const CATALOG = {
  id: "string",
  Name: "string",
  Price: "number",
  In_Stock: "boolean",
  Since: "time",
  Gone: "boolean",
};

async function start(secret: string, state: (mock: BrazeMock) => State): Promise<VendorCounterpart> {
  const mock = await BrazeMock.start(`key-${secret}`, { NAME: CATALOG });
  return {
    mock: mock.server,
    settings: (token) => ({
      instance: "us-01",
      key: token,
      base_url: mock.server.url,
      allow_private: true,
      timeout_ms: 5000,
    }),
    get token() {
      return mock.key;
    },
    rotate() {
      mock.key = `${mock.key}-next`;
      return mock.key;
    },
    state: () => state(mock),
    events: () => mock.events.map(({ properties }) => plainText((properties as { marker: unknown }).marker)!),
    clear: () => mock.clear(),
    [Symbol.asyncDispose]: () => mock[Symbol.asyncDispose](),
  };
}

function stored(column: string, text: string | null): string | null {
  const time = column === "last_seen" || column === "Since";
  return time && text !== null ? text.replace(" ", "T").replace("+00", "Z") : text;
}

const common: Pick<VendorHarness, "stored" | "throttled" | "writes"> = {
  stored,
  throttled: (seconds) => tooMany(seconds, true),
  writes: ({ url, body }) => /^\/users\/(track|delete)|\/items$/.test(url) && body !== "{}",
};
const OPEN = { "unknown field": "an attribute that is not there is made" };

const harnesses: readonly VendorHarness[] = [
  {
    ...common,
    name: "users by external id",
    object: "users",
    columns: {
      external_id: "text",
      first_name: "text",
      email: "text",
      ltv: "numeric",
      opted_in: "boolean",
      last_seen: "timestamp with time zone",
    },
    throttled: tooMany,
    archive: { fields: { gone: true }, stored: { gone: "true" } },
    poison: { external_id: "x".repeat(998) },
    silent: [
      { status: 200, body: {} },
      { status: 201, body: { message: "success" } },
      { status: 201, body: { message: "success", attributes_processed: 0 } },
      { status: 201, body: { message: "success", errors: [{ type: "one of them" }], attributes_processed: 2 } },
    ],
    waived: OPEN,
    start: (secret) => start(secret, ({ users }) => new Map(users.all().map((user) => [user["external_id"]!, user]))),
  },
  {
    ...common,
    name: "events",
    object: "events",
    columns: { external_id: "text", name: "text", time: "timestamp with time zone", marker: "text", amount: "numeric" },
    values: {
      name: (random) => random.pick(["ordered", "left", "注文"]),
      time: () => "2026-01-02 03:04:05.123456+00",
    },
    marker: "marker",
    poison: { name: "" },
    waived: OPEN,
    start: (secret) => start(secret, () => new Map()),
  },
  {
    ...common,
    name: "items of a catalog",
    object: "catalogs/NAME",
    columns: { id: "text", Name: "text", Price: "numeric", In_Stock: "boolean", Since: "timestamp with time zone" },
    archive: { fields: { Gone: true }, stored: { Gone: "true" } },
    poison: { id: "not an id" },
    waived: {},
    start: (secret) =>
      start(
        secret,
        (mock) =>
          new Map(
            [...mock.items("NAME")].map(([id, item]) => [
              id,
              Object.fromEntries(Object.entries(item).map(([name, value]) => [name, plainText(value)])),
            ]),
          ),
      ),
  },
];

describeVendor(braze, harnesses);
