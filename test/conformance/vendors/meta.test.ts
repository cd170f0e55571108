import { createHash } from "node:crypto";
import meta from "../../../src/destinations/meta/index.ts";
import { MetaMock, tooMany } from "../../mocks/meta/meta.ts";
import { plainText } from "../../mocks/support/exact-json.ts";
import { describeVendor } from "../vendor-destination.ts";

type Json = Readonly<Record<string, unknown>>;

const ORDER = "custom_data.order_id";
const MARKER = "custom_data.marker";

describeVendor(meta, [
  {
    name: "events",
    object: "events",
    options: { event: "Purchase" },
    columns: {
      [ORDER]: "text",
      "custom_data.note": "text",
      [MARKER]: "text",
      em: "text",
      action_source: "text",
      "custom_data.value": "numeric",
      "custom_data.new": "boolean",
    },
    values: {
      em: (random) => random.pick(["a@example.com", " B.C@Example.com ", "ü@example.com"]),
      action_source: (random) => random.pick(["system_generated", "email", "phone_call"]),
    },
    marker: MARKER,
    // Hashed by other means than the destination's, of what Meta's rule makes of it.
    stored: (column, text) =>
      column === "em" ? createHash("sha256").update(text!.trim().toLowerCase()).digest("hex") : text,
    poison: { action_source: "the moon" },
    throttled: tooMany,
    writes: ({ method }) => method === "POST",
    waived: {},
    async start(secret) {
      const mock = await MetaMock.start(secret);
      return {
        mock: mock.server,
        settings: (token) => ({
          pixel_id: mock.pixelId,
          access_token: token,
          base_url: mock.server.url,
          allow_private: true,
          timeout_ms: 5000,
        }),
        get token() {
          return mock.token;
        },
        rotate() {
          mock.token = `${mock.token}-next`;
          return mock.token;
        },
        state: () =>
          new Map(
            [...mock.events.values()].map((event) => {
              const custom = Object.entries(event["custom_data"] as Json);
              const row = {
                ...Object.fromEntries(custom.map(([name, value]) => [`custom_data.${name}`, plainText(value)])),
                em: plainText((event["user_data"] as { em: readonly string[] }).em[0]),
                action_source: plainText(event["action_source"]),
              };
              return [(row as Record<string, string | null>)[ORDER]!, row];
            }),
          ),
        events: () => [...mock.events.values()].map((event) => (event["custom_data"] as { marker: string }).marker),
        clear: () => mock.clear(),
        [Symbol.asyncDispose]: () => mock[Symbol.asyncDispose](),
      };
    },
  },
]);
