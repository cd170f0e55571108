import customerio from "../../src/destinations/customerio/index.ts";
import hubspot from "./hubspot.ts";
import type { BenchVendor } from "./vendor.ts";

const { email: _email, ...columns } = hubspot.columns;

const vendor: BenchVendor = {
  connector: customerio,
  settings: (url) => ({ site_id: "site", api_key: "key", base_url: url, allow_private: true }),
  object: "people",
  columns: { id: "text", ...columns },
  row: (n) => {
    const { email: _value, ...row } = hubspot.row(n);
    return { id: String(n), ...row };
  },
  answer({ body }) {
    let rows = 0;
    for (let at = body.indexOf('"action":'); at !== -1; at = body.indexOf('"action":', at + 1)) rows += 1;
    return { status: 200, body: "{}", rows };
  },
};

export default vendor;
