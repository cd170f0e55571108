import zendesk from "../../src/destinations/zendesk/index.ts";
import type { BenchVendor } from "./vendor.ts";

/** Rows of jobs, by id. */
const jobs: number[] = [];
const USER = '{"external_id":';

const vendor: BenchVendor = {
  connector: zendesk,
  settings: (url) => ({
    subdomain: "acme",
    email: "admin@acme.example",
    api_token: "t",
    base_url: url,
    allow_private: true,
  }),
  object: "users",
  columns: {
    external_id: "bigint",
    name: "text",
    email: "text",
    phone: "text",
    notes: "text",
    "user_fields.plan": "text",
    "user_fields.ltv": "numeric",
    "user_fields.opted_in": "boolean",
    "user_fields.born": "date",
  },
  row: (n) => ({
    external_id: String(n),
    name: `Name ${n % 977}`,
    email: `user${n}@example.com`,
    phone: n % 7 === 0 ? null : "+41 44 000 00 00",
    notes: 'said "hello" and left',
    "user_fields.plan": n % 3 === 0 ? "pro" : "free",
    "user_fields.ltv": `${n % 10_000}.${10 + (n % 90)}`,
    "user_fields.opted_in": n % 2 === 0 ? "true" : "false",
    "user_fields.born": "1984-02-29",
  }),
  answer({ method, url, body }) {
    if (method === "POST") {
      const rows = body.split(USER).length - 1;
      jobs.push(rows);
      return { status: 200, body: `{"job_status":{"id":"${jobs.length - 1}","status":"queued"}}`, rows };
    }
    const id = Number(url.slice(url.lastIndexOf("/") + 1));
    const results = Array.from({ length: jobs[id] ?? 0 }, (_, at) => `{"id":${at},"index":${at},"status":"Updated"}`);
    return {
      status: 200,
      body: `{"job_status":{"id":"${id}","status":"completed","results":[${results.join(",")}]}}`,
      rows: 0,
    };
  },
};

export default vendor;
