import hubspot from "../../src/destinations/hubspot/index.ts";
import type { BenchVendor } from "./vendor.ts";

const TRACE = '"objectWriteTraceId":"';

const vendor: BenchVendor = {
  connector: hubspot,
  settings: (url) => ({ token: "pat-1", base_url: url, allow_private: true }),
  object: "contacts",
  columns: {
    email: "text",
    firstname: "text",
    lastname: "text",
    company: "text",
    city: "text",
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
    firstname: `First ${n % 977}`,
    lastname: `Last ${n % 1009}`,
    company: n % 7 === 0 ? null : `Company ${n % 5003}`,
    city: "Zürich",
    plan: n % 3 === 0 ? "pro" : "free",
    ltv: `${n % 10_000}.${10 + (n % 90)}`,
    orders: String(n % 50),
    opted_in: n % 2 === 0 ? "true" : "false",
    born: "1984-02-29",
    last_seen: "2026-01-02 03:04:05.123456+00",
    note: 'said "hello" and left',
  }),
  answer({ body }) {
    // A result for each input, with its trace id, as HubSpot gives it.
    const results: string[] = [];
    for (let at = body.indexOf(TRACE); at !== -1; at = body.indexOf(TRACE, at + 1)) {
      const from = at + TRACE.length;
      const trace = body.slice(from, body.indexOf('"', from));
      results.push(
        `{"id":"5120${trace}","properties":{"createdate":"2026-01-01T00:00:00.000Z","email":"user@example.com","hs_object_id":"5120${trace}","lastmodifieddate":"2026-01-01T00:00:00.000Z"},"createdAt":"2026-01-01T00:00:00.000Z","updatedAt":"2026-01-01T00:00:00.000Z","archived":false,"new":false,"objectWriteTraceId":"${trace}"}`,
      );
    }
    return { status: 200, body: `{"status":"COMPLETE","results":[${results.join(",")}]}`, rows: results.length };
  },
  required: 20_000,
};

export default vendor;
