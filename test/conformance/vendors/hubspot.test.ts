import hubspot from "../../../src/destinations/hubspot/index.ts";
import { type Properties, HubSpotMock, tooMany } from "../../mocks/hubspot/hubspot.ts";
import { loadDescription } from "../../mocks/support/openapi.ts";
import { describeVendor } from "../vendor-destination.ts";
import type { VendorCounterpart, VendorHarness } from "../vendor-harness.ts";

const CONTACT: Properties = {
  email: { type: "string", unique: true },
  firstname: { type: "string" },
  ltv: { type: "number" },
  opted_in: { type: "bool" },
  born: { type: "date" },
  last_seen: { type: "datetime" },
  gone: { type: "bool" },
};
const COMPANY: Properties = {
  account_id: { type: "string", unique: true },
  name: { type: "string" },
  domain: { type: "string", unique: true },
};
const CAR: Properties = { vin: { type: "string", unique: true }, model: { type: "string" }, price: { type: "number" } };
const SCHEMAS = {
  contacts: CONTACT,
  companies: COMPANY,
  deals: { ...COMPANY, amount: { type: "number" } as const },
  p_cars: CAR,
};

async function start(object: string, key: string, secret: string): Promise<VendorCounterpart> {
  const mock = await HubSpotMock.start(`pat-${secret}`, SCHEMAS);
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
    state: () => new Map(mock.records(object).map(({ properties }) => [properties[key] ?? "", properties])),
    clear: () => mock.clear(),
    [Symbol.asyncDispose]: () => mock[Symbol.asyncDispose](),
  };
}

/** An empty text is no value there; a time is ISO 8601. */
function stored(column: string, text: string | null): string | null {
  if (text === null || text === "") return null;
  return column === "last_seen" ? text.replace(" ", "T").replace("+00", "Z") : text;
}

const common: Pick<VendorHarness, "stored" | "throttled" | "writes" | "waived"> = {
  stored,
  throttled: (seconds) => tooMany("TEN_SECONDLY_ROLLING", { "retry-after": String(seconds) }),
  writes: ({ method, url }) => method === "POST" && /\/batch\/(upsert|update|create|archive)$/.test(url),
  waived: {},
};

const harnesses: readonly VendorHarness[] = [
  {
    ...common,
    name: "contacts by e-mail",
    object: "contacts",
    columns: {
      email: "text",
      firstname: "text",
      ltv: "numeric",
      opted_in: "boolean",
      born: "date",
      last_seen: "timestamp with time zone",
    },
    key: (n) => `user${n}@example.com`,
    archive: { fields: { gone: true }, stored: { gone: "true" } },
    poison: { email: "not-an-address" },
    description: {
      file: "hubspot-contacts-v3.json",
      load: () => loadDescription("hubspot-contacts-v3.json"),
      wrong: {
        method: "POST",
        url: "/crm/v3/objects/contacts/batch/upsert",
        headers: { "content-type": "application/json", authorization: "Bearer x" },
        body: '{"inputs":[{"id":"a@b.example","idProperty":"email","properties":{"ltv":12.5}}]}',
      },
    },
    start: (secret) => start("contacts", "email", secret),
  },
  {
    ...common,
    name: "a custom object",
    object: "p_cars",
    columns: { vin: "text", model: "text", price: "numeric" },
    poison: { price: "much" },
    description: {
      file: "hubspot-objects-v3.json",
      load: () => loadDescription("hubspot-objects-v3.json"),
      wrong: {
        method: "POST",
        url: "/crm/v3/objects/p_cars/batch/archive",
        headers: { "content-type": "application/json", authorization: "Bearer x" },
        body: '{"inputs":[{"id":7}]}',
      },
    },
    start: (secret) => start("p_cars", "vin", secret),
  },
];

describeVendor(hubspot, harnesses);
