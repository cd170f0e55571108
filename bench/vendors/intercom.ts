import intercom from "../../src/destinations/intercom/index.ts";
import type { BenchVendor } from "./vendor.ts";

// A contact that is there: looked up, and written.
const vendor: BenchVendor = {
  connector: intercom,
  settings: (url) => ({ access_token: "token", base_url: url, allow_private: true }),
  object: "contacts",
  columns: {
    external_id: "text",
    email: "text",
    name: "text",
    phone: "text",
    plan: "text",
    ltv: "numeric",
    orders: "bigint",
    opted_in: "boolean",
    city: "text",
    signed_up_at: "timestamp with time zone",
    last_seen_at: "timestamp with time zone",
    note: "text",
  },
  row: (n) => ({
    external_id: String(n),
    email: `user${n}@example.com`,
    name: `First ${n % 977} Last ${n % 1009}`,
    phone: n % 7 === 0 ? null : `+4144${1_000_000 + (n % 1_000_000)}`,
    plan: n % 3 === 0 ? "pro" : "free",
    ltv: `${n % 10_000}.${10 + (n % 90)}`,
    orders: String(n % 50),
    opted_in: n % 2 === 0 ? "true" : "false",
    city: "Zürich",
    signed_up_at: "2025-01-02 03:04:05.123456+00",
    last_seen_at: "2026-01-02 03:04:05.123456+00",
    note: 'said "hello" and left',
  }),
  answer({ method, url }) {
    const id = url.slice(url.lastIndexOf("/") + 1);
    return {
      status: 200,
      body: `{"type":"contact","id":"${id}","external_id":"${id}"}`,
      rows: method === "PUT" ? 1 : 0,
    };
  },
  rows: 20_000,
};

export default vendor;
