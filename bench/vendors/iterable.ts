import iterable from "../../src/destinations/iterable/index.ts";
import hubspot from "./hubspot.ts";
import type { BenchVendor } from "./vendor.ts";

const vendor: BenchVendor = {
  connector: iterable,
  settings: (url) => ({ api_key: "key", base_url: url, allow_private: true }),
  object: "users",
  columns: hubspot.columns,
  row: (n) => hubspot.row(n),
  answer({ body }) {
    let rows = 0;
    for (let at = body.indexOf('"dataFields":'); at !== -1; at = body.indexOf('"dataFields":', at + 1)) rows += 1;
    const lists = '"invalidEmails":[],"invalidUserIds":[],"filteredOutFields":[],"createdFields":[],"failedUpdates":{}';
    return { status: 200, body: `{"successCount":${rows},"failCount":0,${lists}}`, rows };
  },
};

export default vendor;
