import salesforce from "../../../src/destinations/salesforce/index.ts";
import type { Fields } from "../../mocks/salesforce/object.ts";
import { SalesforceMock, tooMany } from "../../mocks/salesforce/salesforce.ts";
import { describeVendor } from "../vendor-destination.ts";
import type { VendorCounterpart, VendorHarness } from "../vendor-harness.ts";

const ACCOUNT: Fields = {
  Ext__c: { type: "string", externalId: true, caseSensitive: true },
  Name: { type: "string" },
  Revenue__c: { type: "double" },
  Born__c: { type: "date" },
  Seen__c: { type: "datetime" },
  Email__c: { type: "email" },
  Gone__c: { type: "string" },
};

async function start(secret: string): Promise<VendorCounterpart> {
  const mock = await SalesforceMock.start({ secret: `s-${secret}`, objects: { Account: ACCOUNT } });
  return {
    mock: mock.server,
    settings: (token) => ({
      login_url: "https://acme.my.salesforce.com",
      client_id: "app",
      client_secret: token,
      base_url: mock.server.url,
      allow_private: true,
      timeout_ms: 5000,
    }),
    get token() {
      return mock.secret;
    },
    rotate: () => mock.rotate(),
    state: () => new Map([...mock.records("Account").values()].map((record) => [record["Ext__c"]!, record])),
    clear: () => mock.clear(),
    [Symbol.asyncDispose]: () => mock[Symbol.asyncDispose](),
  };
}

/** Blanks at both ends are cut, and an empty text is no value; of a time milliseconds are taken. */
function stored(column: string, text: string | null): string | null {
  if (text === null || text.trim() === "") return null;
  return column === "Seen__c" ? text.replace(" ", "T").replace(/(\.\d{3})\d+\+00$/, "$1Z") : text.trim();
}

const common: Omit<VendorHarness, "name" | "columns"> = {
  object: "Account",
  stored,
  archive: { fields: { Gone__c: "yes" }, stored: { Gone__c: "yes" } },
  throttled: (seconds) => tooMany({ "retry-after": String(seconds) }),
  poison: { Email__c: "nobody" },
  writes: ({ method, url }) => method !== "GET" && (/\/composite\/sobjects/.test(url) || url.endsWith("/jobs/ingest")),
  waived: {},
  start,
};

describeVendor(salesforce, [
  {
    ...common,
    name: "records, in collections",
    columns: {
      Ext__c: "text",
      Name: "text",
      Revenue__c: "numeric",
      Born__c: "date",
      Seen__c: "timestamp with time zone",
      Email__c: "text",
    },
    values: { Email__c: (random) => random.pick([null, "a@b.example"]) },
  },
  {
    ...common,
    name: "records, in jobs",
    options: { bulk_from: 1 },
    columns: { Ext__c: "text", Name: "text", Revenue__c: "numeric", Email__c: "text" },
    values: { Email__c: (random) => random.pick([null, "a@b.example"]) },
    faultRate: 0.05,
    waived: { oversize: "Salesforce refuses the value, in a job as in a collection" },
    cases: ({ mode, onDelete }) => mode === "mirror" && onDelete.kind === "delete",
  },
]);
