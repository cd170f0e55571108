import sheets from "../../../src/destinations/google-sheets/index.ts";
import { GoogleSheetsMock, tooMany } from "../../mocks/google-sheets/google-sheets.ts";
import { describeVendor } from "../vendor-destination.ts";

const TAB = "People & co";
const NAMES = ["name", "their own", "id", "marker", "mrr", "active", "since", "at"];

describeVendor(sheets, [
  {
    name: "rows",
    object: TAB,
    columns: {
      id: "text",
      name: "text",
      marker: "text",
      mrr: "numeric",
      active: "boolean",
      since: "date",
      at: "timestamp with time zone",
    },
    marker: "marker",
    // An empty text is an empty cell.
    stored: (_column, text) => (text === "" ? null : text),
    poison: { name: "x".repeat(50_001) },
    // One write at a time: pauses after faults add up.
    faultRate: 0.06,
    // What is done with an event is what is done with a row in mode insert.
    cases: ({ mode, onDelete }) => mode !== "event" && (mode !== "mirror" || onDelete.kind !== "ignore"),
    throttled: tooMany,
    writes: ({ method, path }) => method === "POST" && path[0] !== "token",
    waived: {},
    async start(secret) {
      const mock = await GoogleSheetsMock.start(secret);
      mock.setTab(TAB, [NAMES]);
      return {
        mock: mock.server,
        settings: (token) => ({
          spreadsheet_id: mock.spreadsheetId,
          service_account: token,
          base_url: mock.server.url,
          allow_private: true,
          timeout_ms: 5000,
        }),
        get token() {
          return mock.key;
        },
        rotate: () => mock.rotate(),
        state: () => new Map(mock.rows(TAB).map((row) => [row["id"]!, row])),
        events: () => mock.rows(TAB).map((row) => row["marker"]!),
        clear: () => mock.setTab(TAB, [NAMES]),
        [Symbol.asyncDispose]: () => mock[Symbol.asyncDispose](),
      };
    },
  },
]);
