import s3 from "../../../src/destinations/s3/index.ts";
import { S3Mock, slowDown } from "../../mocks/s3/s3.ts";
import { parseExact, plainText } from "../../mocks/support/exact-json.ts";
import type { RowTexts } from "../../support/oracle.ts";
import { describeVendor } from "../vendor-destination.ts";

interface Line {
  readonly id: string;
  readonly type: string;
  readonly op?: string;
  readonly key: Readonly<Record<string, unknown>>;
  readonly position: string;
  readonly record: Readonly<Record<string, unknown>>;
}

function linesOf(mock: S3Mock): readonly Line[] {
  return mock.lines.map((line) => parseExact(line) as Line);
}

/** As a reader of the log has it: of each key the line with the greatest position. */
function stateOf(mock: S3Mock): ReadonlyMap<string, RowTexts> {
  const rows = new Map<string, RowTexts>();
  for (const { type, key, record } of linesOf(mock).toSorted((a, b) => (a.position < b.position ? -1 : 1))) {
    const name = plainText(key["id"])!;
    if (type === "delete") rows.delete(name);
    else rows.set(name, Object.fromEntries(Object.entries(record).map(([field, value]) => [field, plainText(value)])));
  }
  return rows;
}

describeVendor(s3, [
  {
    name: "objects",
    object: null,
    columns: {
      id: "text",
      marker: "text",
      note: "text",
      amount: "numeric",
      paid: "boolean",
      born: "date",
      at: "timestamp with time zone",
    },
    marker: "marker",
    // Without deletes it is the same log as in mode upsert.
    cases: ({ mode, onDelete }) => mode !== "mirror" || onDelete.kind === "delete",
    poison: {},
    faultRate: 0.15,
    throttled: slowDown,
    writes: ({ method }) => method === "PUT",
    waived: {
      poison: "it does not look into what it stores",
      "unknown field": "it takes any field",
    },
    async start(secret) {
      const mock = await S3Mock.start(secret);
      return {
        mock: mock.server,
        settings: (token) => ({
          bucket: mock.bucket,
          region: mock.region,
          access_key_id: mock.accessKeyId,
          secret_access_key: token,
          path_style: true,
          base_url: mock.server.url,
          allow_private: true,
          timeout_ms: 5000,
        }),
        get token() {
          return mock.secret;
        },
        rotate() {
          mock.secret = `${mock.secret}-next`;
          return mock.secret;
        },
        state: () => stateOf(mock),
        events: () => linesOf(mock).map(({ record }) => plainText(record["marker"])!),
        clear: () => mock.clear(),
        [Symbol.asyncDispose]: () => mock[Symbol.asyncDispose](),
      };
    },
  },
]);
