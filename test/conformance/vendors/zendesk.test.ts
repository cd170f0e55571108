import zendesk from "../../../src/destinations/zendesk/index.ts";
import { ZendeskMock, tooMany } from "../../mocks/zendesk/zendesk.ts";
import { describeVendor } from "../vendor-destination.ts";
import type { VendorCounterpart, VendorHarness } from "../vendor-harness.ts";

const OWN = {
  "user_fields.plan": { type: "text" },
  "user_fields.ltv": { type: "decimal" },
  "user_fields.born": { type: "date" },
  "organization_fields.seats": { type: "integer" },
  "custom_fields.17": { type: "text" },
} as const;

async function start(plural: "users" | "organizations" | "tickets", secret: string): Promise<VendorCounterpart> {
  const mock = await ZendeskMock.start(`t-${secret}`, OWN);
  return {
    mock: mock.server,
    settings: (token) => ({
      subdomain: "acme",
      email: "admin@acme.example",
      api_token: token,
      base_url: mock.server.url,
      allow_private: true,
      timeout_ms: 5000,
    }),
    get token() {
      return mock.token;
    },
    rotate: () => mock.rotate(),
    state: () => new Map([...mock.records[plural].values()].map((record) => [record["external_id"]!, record])),
    clear: () => mock.clear(),
    [Symbol.asyncDispose]: () => mock[Symbol.asyncDispose](),
  };
}

const common: Pick<VendorHarness, "throttled" | "writes" | "waived" | "faultRate"> = {
  throttled: tooMany,
  writes: ({ method }) => method !== "GET",
  // A write takes three requests, and all must do well.
  faultRate: 0.05,
  waived: {},
};

describeVendor(zendesk, [
  {
    ...common,
    name: "users by external_id",
    object: "users",
    columns: {
      external_id: "text",
      name: "text",
      notes: "text",
      "user_fields.plan": "text",
      "user_fields.ltv": "numeric",
      "user_fields.born": "date",
    },
    values: { name: (random) => `Name ${random.int(1000)}` },
    archive: { fields: { suspended: true }, stored: { suspended: "true" } },
    poison: { name: " " },
    start: (secret) => start("users", secret),
  },
  {
    ...common,
    name: "organizations",
    object: "organizations",
    columns: { external_id: "text", name: "text", details: "text", "organization_fields.seats": "bigint" },
    values: { name: (random) => `Org ${random.int(1_000_000_000)}` },
    poison: { name: " " },
    cases: ({ mode, onDelete }) => mode === "mirror" && onDelete.kind === "delete",
    start: (secret) => start("organizations", secret),
  },
]);
