// The kit itself, by a vendor whose work is done in jobs and whose tokens are asked for.
import { AcmeMock, acme } from "../../fixtures/acme.ts";
import { describeVendor } from "../vendor-destination.ts";

describeVendor(acme, [
  {
    name: "people, in jobs",
    object: "people",
    columns: { id: "text", name: "text", active: "boolean" },
    poison: { name: "poison" },
    faultRate: 0.05,
    throttled: (seconds) => ({ status: 429, headers: { "retry-after": String(seconds) } }),
    writes: ({ method, url }) => method === "POST" && url === "/jobs",
    waived: { "unknown field": "it takes any field" },
    async start(secret) {
      const mock = await AcmeMock.start(secret);
      return {
        mock: mock.server,
        settings: (token) => ({
          client_secret: token,
          base_url: mock.server.url,
          allow_private: true,
          timeout_ms: 5000,
        }),
        get token() {
          return mock.secret;
        },
        rotate: () => mock.rotate(),
        state: () =>
          new Map(
            [...mock.people].map(([id, person]) => [
              id,
              Object.fromEntries(
                Object.entries(person).map(([name, value]) => [name, value === null ? null : String(value)]),
              ),
            ]),
          ),
        clear: () => mock.clear(),
        [Symbol.asyncDispose]: () => mock[Symbol.asyncDispose](),
      };
    },
  },
]);
