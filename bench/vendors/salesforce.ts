import salesforce from "../../src/destinations/salesforce/index.ts";
import type { BenchVendor } from "./vendor.ts";

/** The rows of jobs, as they were uploaded. */
const uploads = new Map<string, string>();
let jobs = 0;
const RECORD = '{"attributes":';

const TYPES: Readonly<Record<string, string>> = {
  Ext__c: "string",
  Name: "string",
  City__c: "string",
  Plan__c: "picklist",
  Revenue__c: "currency",
  Seats__c: "double",
  Active__c: "boolean",
  Since__c: "date",
  Seen__c: "datetime",
  Note__c: "textarea",
};
const FIELDS = Object.entries(TYPES).map(([name, type]) => ({
  name,
  type,
  createable: true,
  updateable: true,
  nillable: type !== "boolean",
  externalId: name === "Ext__c",
}));

const vendor: BenchVendor = {
  connector: salesforce,
  settings: (url) => ({
    login_url: "https://acme.my.salesforce.com",
    client_id: "app",
    client_secret: "s",
    base_url: url,
    allow_private: true,
  }),
  object: "Account",
  columns: {
    Ext__c: "text",
    Name: "text",
    City__c: "text",
    Plan__c: "text",
    Revenue__c: "numeric",
    Seats__c: "bigint",
    Active__c: "boolean",
    Since__c: "date",
    Seen__c: "timestamp with time zone",
    Note__c: "text",
  },
  row: (n) => ({
    Ext__c: `account-${n}`,
    Name: `Company ${n % 5003}`,
    City__c: "Zürich",
    Plan__c: n % 3 === 0 ? "pro" : "free",
    Revenue__c: `${n % 10_000}.${10 + (n % 90)}`,
    Seats__c: String(n % 50),
    Active__c: n % 2 === 0 ? "true" : "false",
    Since__c: "2014-02-28",
    Seen__c: "2026-01-02 03:04:05.123456+00",
    Note__c: n % 7 === 0 ? null : 'said "hello" and left',
  }),
  answer({ url, body }) {
    if (url.endsWith("/token")) return { status: 200, body: '{"access_token":"00D!1"}', rows: 0 };
    if (url.endsWith("/describe")) return { status: 200, body: JSON.stringify({ fields: FIELDS }), rows: 0 };
    const [, job, part] = /\/jobs\/ingest(?:\/(\w+)(?:\/(\w+))?)?$/.exec(url) ?? [];
    if (part === "batches") {
      uploads.set(job!, body);
      return { status: 201, body: "", rows: keysOf(body).length };
    }
    if (part === "failedResults") return { status: 200, body: "sf__Id,sf__Error,Ext__c\n", rows: 0 };
    if (part === "successfulResults") {
      const rows = keysOf(uploads.get(job!)!).map((key) => `"0018d00000abcDEFGH","false",${key}\n`);
      uploads.delete(job!);
      return { status: 200, body: `"sf__Id","sf__Created","Ext__c"\n${rows.join("")}`, rows: 0 };
    }
    if (job !== undefined) return { status: 200, body: '{"state":"JobComplete"}', rows: 0 };
    if (url.endsWith("/jobs/ingest")) return { status: 200, body: `{"id":"job${(jobs += 1)}"}`, rows: 0 };
    const results: string[] = [];
    for (let at = body.indexOf(RECORD); at !== -1; at = body.indexOf(RECORD, at + 1))
      results.push('{"id":"0018d00000abcDEFGH","success":true,"errors":[],"created":false}');
    return { status: 200, body: `[${results.join(",")}]`, rows: results.length };
  },
};

function keysOf(csv: string): readonly string[] {
  return csv.match(/^account-\d+/gm) ?? [];
}

export default vendor;
