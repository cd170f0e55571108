import segment from "../../../src/destinations/segment/index.ts";
import { SegmentMock, tooMany } from "../../mocks/segment/segment.ts";
import type { State } from "../../support/oracle.ts";
import { describeVendor } from "../vendor-destination.ts";
import type { VendorCounterpart, VendorHarness } from "../vendor-harness.ts";

async function start(secret: string, state: (mock: SegmentMock) => State): Promise<VendorCounterpart> {
  const mock = await SegmentMock.start(`key-${secret}-of-more-than-32-characters`);
  return {
    mock: mock.server,
    settings: (token) => ({ write_key: token, base_url: mock.server.url, allow_private: true, timeout_ms: 5000 }),
    token: mock.writeKey,
    rotate: () => mock.writeKey,
    state: () => {
      if (mock.dropped.length > 0) throw new Error(`it has dropped ${mock.dropped.join(", ")}`);
      return state(mock);
    },
    events: () => {
      if (mock.dropped.length > 0) throw new Error(`it has dropped ${mock.dropped.join(", ")}`);
      return mock.tracked.map(({ properties }) => properties.get("marker")!);
    },
    clear: () => mock.clear(),
    [Symbol.asyncDispose]: () => mock[Symbol.asyncDispose](),
  };
}

const common: Pick<VendorHarness, "stored" | "throttled" | "writes" | "waived"> = {
  // The mock does not tell a null from an empty text.
  stored: (column, text) => {
    if (column === "last_seen" && text !== null) return text.replace(" ", "T").replace("+00", "Z");
    return text ?? "";
  },
  throttled: tooMany,
  writes: ({ body }) => body !== '{"batch":[]}',
  waived: {
    "unknown field": "it takes properties and traits of any name",
    rotation: "Segment answers 200 to a key that it does not know, so nothing tells that one was replaced",
  },
};

const harnesses: readonly VendorHarness[] = [
  {
    ...common,
    name: "track calls",
    object: "track",
    columns: { userId: "text", event: "text", marker: "text", amount: "numeric", note: "text" },
    values: { event: (random) => random.pick(["Signed up", "Left", "注文"]), marker: () => "none" },
    marker: "marker",
    poison: { event: "" },
    start: (secret) =>
      start(
        secret,
        (mock) =>
          new Map(
            mock.tracked.map(({ userId, event, properties }) => [
              userId,
              { userId, event, ...Object.fromEntries(properties) },
            ]),
          ),
      ),
  },
  {
    ...common,
    name: "identify calls",
    object: "identify",
    columns: {
      userId: "text",
      name: "text",
      ltv: "numeric",
      opted_in: "boolean",
      last_seen: "timestamp with time zone",
    },
    poison: { userId: "" },
    start: (secret) =>
      start(
        secret,
        (mock) =>
          new Map([...mock.users].map(([userId, traits]) => [userId, { userId, ...Object.fromEntries(traits) }])),
      ),
  },
];

describeVendor(segment, harnesses);
