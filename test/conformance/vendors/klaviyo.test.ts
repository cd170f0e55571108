import klaviyo from "../../../src/destinations/klaviyo/index.ts";
import { tooMany } from "../../mocks/klaviyo/answers.ts";
import { KlaviyoMock } from "../../mocks/klaviyo/klaviyo.ts";
import { textsOf } from "../../mocks/klaviyo/profile.ts";
import { plainText } from "../../mocks/support/exact-json.ts";
import { type Description, loadDescription } from "../../mocks/support/openapi.ts";
import type { State } from "../../support/oracle.ts";
import { describeVendor } from "../vendor-destination.ts";
import type { VendorCounterpart, VendorDescription, VendorHarness } from "../vendor-harness.ts";

async function start(secret: string, state: (mock: KlaviyoMock) => State): Promise<VendorCounterpart> {
  const mock = await KlaviyoMock.start(`pk_${secret}`, ["ID"]);
  return {
    mock: mock.server,
    settings: (token) => ({ key: token, base_url: mock.server.url, allow_private: true, timeout_ms: 5000 }),
    get token() {
      return mock.key;
    },
    rotate() {
      mock.key = `${mock.key}-next`;
      return mock.key;
    },
    state: () => state(mock),
    events: () =>
      mock.events.map(({ attributes }) => plainText((attributes["properties"] as { marker: string }).marker)!),
    clear: () => mock.clear(),
    [Symbol.asyncDispose]: () => mock[Symbol.asyncDispose](),
  };
}

function stored(column: string, text: string | null): string | null {
  return column === "last_seen" && text !== null ? text.replace(" ", "T").replace("+00", "Z") : text;
}

const FILE = "klaviyo-stable.json";
let loading: Promise<Description> | null = null;
/** Once for all: it has four hundred operations, of which a few are ours. */
function load(): Promise<Description> {
  loading ??= loadDescription(FILE, {
    jsonTypes: ["application/vnd.api+json"],
    mend(document) {
      for (const path of Object.keys(document.paths ?? {}))
        if (!/\/api\/(profile-|profiles$|lists|event-bulk|data-privacy|accounts$)/.test(path))
          delete document.paths![path];
    },
  });
  return loading;
}

function described(wrong: { readonly method: string; readonly url: string; readonly body: string }): VendorDescription {
  const headers = { revision: "2026-07-15", "content-type": "application/vnd.api+json" };
  return {
    file: FILE,
    load,
    wrong: { ...wrong, headers },
  };
}

const OPEN = "a property that is not there is made";

const common: Pick<VendorHarness, "stored" | "throttled" | "writes" | "waived"> = {
  stored,
  throttled: tooMany,
  writes: ({ method, url }) => method === "POST" && /import|event-bulk/.test(url),
  waived: { "unknown field": OPEN },
};

const harnesses: readonly VendorHarness[] = [
  {
    ...common,
    name: "profiles by e-mail",
    object: "profiles",
    columns: {
      email: "text",
      first_name: "text",
      "location.city": "text",
      ltv: "numeric",
      opted_in: "boolean",
      last_seen: "timestamp with time zone",
      extra: "jsonb",
    },
    key: (n) => `user${n}@example.com`,
    values: { extra: (random) => random.pick(["{}", "[]", null]) },
    archive: { fields: { gone: true }, stored: { gone: "true" } },
    poison: { email: "not-an-address" },
    faultRate: 0.05,
    description: described({
      method: "POST",
      url: "/api/profile-bulk-import-jobs",
      body: '{"data":{"type":"profile-bulk-import-job","attributes":{"profiles":{"data":[{"type":"profile","attributes":{"first_name":7}}]}}}}',
    }),
    start: (secret) =>
      start(secret, ({ profiles }) => new Map([...profiles.values()].map(textsOf).map((row) => [row["email"]!, row]))),
  },
  {
    ...common,
    name: "members of a list, by their own id",
    object: "lists/ID",
    columns: { external_id: "text", last_name: "text", phone_number: "text", note: "text" },
    values: { phone_number: () => null },
    poison: { phone_number: "12" },
    faultRate: 0.05,
    description: described({
      method: "DELETE",
      url: "/api/lists/ID/relationships/profiles",
      body: '{"data":[{"type":"person","id":"1"}]}',
    }),
    start: (secret) =>
      start(
        secret,
        (mock) =>
          new Map(
            mock
              .members("ID")
              .map(textsOf)
              .map((row) => [row["external_id"]!, row]),
          ),
      ),
  },
  {
    ...common,
    name: "events",
    object: "events",
    columns: {
      email: "text",
      metric: "text",
      marker: "text",
      value: "numeric",
      note: "text",
      at: "timestamp with time zone",
    },
    key: (n) => `user${n}@example.com`,
    values: { metric: (random) => random.pick(["Ordered", "Left", "注文"]) },
    marker: "marker",
    poison: { metric: " " },
    description: described({
      method: "POST",
      url: "/api/event-bulk-create-jobs",
      body: '{"data":{"type":"event-bulk-create-job","attributes":{"events-bulk-create":{"data":[{"type":"event-bulk-create","attributes":{}}]}}}}',
    }),
    start: (secret) => start(secret, () => new Map()),
  },
];

describeVendor(klaviyo, harnesses);
