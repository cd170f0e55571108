import customerio from "../../../src/destinations/customerio/index.ts";
import { CustomerioMock, tooMany } from "../../mocks/customerio/customerio.ts";
import type { State } from "../../support/oracle.ts";
import { describeVendor } from "../vendor-destination.ts";
import type { VendorCounterpart, VendorHarness } from "../vendor-harness.ts";

async function start(secret: string, state: (mock: CustomerioMock) => State): Promise<VendorCounterpart> {
  const mock = await CustomerioMock.start(`key-${secret}`);
  return {
    mock: mock.server,
    settings: (token) => ({
      site_id: mock.siteId,
      api_key: token,
      base_url: mock.server.url,
      allow_private: true,
      timeout_ms: 5000,
    }),
    get token() {
      return mock.apiKey;
    },
    rotate() {
      mock.apiKey = `${mock.apiKey}-next`;
      return mock.apiKey;
    },
    state: () => state(mock),
    events: () => mock.events.map(({ attributes }) => attributes.get("marker")!),
    clear: () => mock.clear(),
    [Symbol.asyncDispose]: () => mock[Symbol.asyncDispose](),
  };
}

function peopleById(mock: CustomerioMock): State {
  return new Map([...mock.people.values()].map((person) => [person.get("id")!, Object.fromEntries(person)]));
}

/** An empty text is no value there; a time is in seconds. */
function stored(column: string, text: string | null): string | null {
  if (text === null || text === "") return null;
  return column === "last_seen" ? String(Date.parse(`${text.slice(0, 19).replace(" ", "T")}Z`) / 1000) : text;
}

const OPEN = "it takes attributes of any name";

const common: Pick<VendorHarness, "stored" | "throttled" | "writes" | "silent" | "waived" | "poison"> = {
  stored,
  throttled: tooMany,
  writes: ({ url }) => url === "/api/v2/batch",
  // An empty object is how it says that all were taken.
  silent: [
    { status: 200, body: "" },
    { status: 207, body: {} },
    { status: 207, body: { errors: [{ reason: "invalid", field: "?", message: "?" }] } },
    { status: 202, body: {} },
  ],
  poison: { note: "x".repeat(1001) },
  waived: { "unknown field": OPEN },
};

const harnesses: readonly VendorHarness[] = [
  {
    ...common,
    name: "people by id",
    object: "people",
    columns: {
      id: "text",
      note: "text",
      ltv: "numeric",
      opted_in: "boolean",
      born: "date",
      last_seen: "timestamp with time zone",
    },
    archive: { fields: { gone: true }, stored: { gone: "true" } },
    start: (secret) => start(secret, peopleById),
  },
  {
    ...common,
    name: "events",
    object: "events",
    columns: { id: "text", name: "text", marker: "text", amount: "numeric", note: "text" },
    values: { name: (random) => random.pick(["signed up", "left", "注文"]) },
    marker: "marker",
    poison: { name: " " },
    start: (secret) => start(secret, () => new Map()),
  },
];

describeVendor(customerio, harnesses);
