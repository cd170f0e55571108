import braze from "../../src/destinations/braze/index.ts";
import type { BenchVendor } from "./vendor.ts";

const vendor: BenchVendor = {
  connector: braze,
  settings: (url) => ({ instance: "us-01", key: "k", base_url: url, allow_private: true }),
  object: "users",
  columns: {
    external_id: "text",
    email: "text",
    first_name: "text",
    last_name: "text",
    home_city: "text",
    plan: "text",
    ltv: "numeric",
    orders: "bigint",
    opted_in: "boolean",
    dob: "date",
    last_seen: "timestamp with time zone",
    note: "text",
  },
  row: (n) => ({
    external_id: `user-${n}`,
    email: n % 7 === 0 ? null : `user${n}@example.com`,
    first_name: `First ${n % 977}`,
    last_name: `Last ${n % 1009}`,
    home_city: "Zürich",
    plan: n % 3 === 0 ? "pro" : "free",
    ltv: `${n % 10_000}.${10 + (n % 90)}`,
    orders: String(n % 50),
    opted_in: n % 2 === 0 ? "true" : "false",
    dob: "1984-02-29",
    last_seen: "2026-01-02 03:04:05.123456+00",
    note: 'said "hello" and left',
  }),
  answer({ body }) {
    const users = body.split('"_update_existing_only":').length - 1;
    return { status: 201, body: `{"message":"success","attributes_processed":${users}}`, rows: users };
  },
  required: 20_000,
};

export default vendor;
