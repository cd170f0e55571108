import intercom from "../../../src/destinations/intercom/index.ts";
import { IntercomMock, type StoredRecord, tooMany } from "../../mocks/intercom/intercom.ts";
import type { State } from "../../support/oracle.ts";
import { describeVendor } from "../vendor-destination.ts";
import type { VendorCounterpart, VendorHarness } from "../vendor-harness.ts";

const MADE = {
  plan_name: "string",
  ltv: "float",
  seats: "integer",
  trial: "boolean",
  renewed_at: "date",
  gone: "boolean",
} as const;

async function start(
  secret: string,
  key: string,
  records: (mock: IntercomMock) => Map<string, StoredRecord>,
): Promise<VendorCounterpart> {
  const mock = await IntercomMock.start(`token-${secret}`, { contact: MADE, company: MADE });
  return {
    mock: mock.server,
    settings: (token) => ({ access_token: token, base_url: mock.server.url, allow_private: true, timeout_ms: 5000 }),
    get token() {
      return mock.token;
    },
    rotate() {
      mock.token = `${mock.token}-next`;
      return mock.token;
    },
    state: (): State =>
      new Map([...records(mock).values()].map(({ fields }) => [fields.get(key) ?? "", Object.fromEntries(fields)])),
    clear: () => mock.clear(),
    [Symbol.asyncDispose]: () => mock[Symbol.asyncDispose](),
  };
}

const common: Pick<VendorHarness, "stored" | "throttled" | "writes" | "faultRate" | "archive" | "waived"> = {
  stored: (column, text) =>
    column === "renewed_at" && text !== null
      ? String(Date.parse(`${text.slice(0, 19).replace(" ", "T")}Z`) / 1000)
      : text,
  throttled: tooMany,
  writes: ({ method, url }) => method !== "GET" && /^\/(contacts|companies)/.test(url),
  faultRate: 0.1,
  archive: { fields: { gone: true }, stored: { gone: "true" } },
  waived: {},
};

const harnesses: readonly VendorHarness[] = [
  {
    ...common,
    name: "contacts by external_id",
    object: "contacts",
    columns: {
      external_id: "text",
      name: "text",
      plan_name: "text",
      ltv: "numeric",
      seats: "bigint",
      trial: "boolean",
      renewed_at: "timestamp with time zone",
    },
    poison: { ltv: "much" },
    start: (secret) => start(secret, "external_id", (mock) => mock.contacts),
  },
  {
    ...common,
    name: "companies",
    object: "companies",
    columns: { company_id: "text", name: "text", ltv: "numeric" },
    poison: { company_id: "" },
    cases: ({ mode, onDelete }) => mode === "update" || onDelete.kind === "delete",
    start: (secret) => start(secret, "company_id", (mock) => mock.companies),
  },
];

describeVendor(intercom, harnesses);
