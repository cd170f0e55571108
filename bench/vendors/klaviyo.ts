import klaviyo from "../../src/destinations/klaviyo/index.ts";
import type { BenchVendor } from "./vendor.ts";

/** Profiles of each job. */
const jobs = new Map<string, number>();

const vendor: BenchVendor = {
  connector: klaviyo,
  settings: (url) => ({ key: "pk_1", base_url: url, allow_private: true }),
  object: "profiles",
  columns: {
    email: "text",
    first_name: "text",
    last_name: "text",
    organization: "text",
    "location.city": "text",
    plan: "text",
    ltv: "numeric",
    orders: "bigint",
    opted_in: "boolean",
    born: "date",
    last_seen: "timestamp with time zone",
    note: "text",
  },
  row: (n) => ({
    email: `user${n}@example.com`,
    first_name: `First ${n % 977}`,
    last_name: `Last ${n % 1009}`,
    organization: n % 7 === 0 ? null : `Company ${n % 5003}`,
    "location.city": "Zürich",
    plan: n % 3 === 0 ? "pro" : "free",
    ltv: `${n % 10_000}.${10 + (n % 90)}`,
    orders: String(n % 50),
    opted_in: n % 2 === 0 ? "true" : "false",
    born: "1984-02-29",
    last_seen: "2026-01-02 03:04:05.123456+00",
    note: 'said "hello" and left',
  }),
  answer({ method, url, body }) {
    if (url === "/api/profile-import") return { status: 200, body: '{"data":{"type":"profile","id":"01GD"}}', rows: 1 };
    if (method === "POST") {
      const profiles = body.split('{"type":"profile",').length - 1;
      const id = `job-${jobs.size}`;
      jobs.set(id, profiles);
      return { status: 202, body: `{"data":{"type":"profile-bulk-import-job","id":"${id}"}}`, rows: profiles };
    }
    if (url.includes("/import-errors")) return { status: 200, body: '{"data":[],"links":{}}', rows: 0 };
    const count = jobs.get(url.slice(url.lastIndexOf("/") + 1));
    const attributes = `{"status":"complete","total_count":${count},"completed_count":${count},"failed_count":0}`;
    return { status: 200, body: `{"data":{"attributes":${attributes}}}`, rows: 0 };
  },
  required: 20_000,
};

export default vendor;
