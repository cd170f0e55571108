// What is Segment's own; what every vendor's destination must do is in test/conformance/vendors/segment.test.ts.
import { expect, onTestFinished, test } from "vitest";
import { SegmentMock } from "../../../test/mocks/segment/segment.ts";
import { faultsInTurn } from "../../../test/mocks/support/faults.ts";
import { VendorRun, type VendorRunOptions } from "../../../test/support/vendor-lane.ts";
import segment from "./index.ts";

const KEY = "k".repeat(32);

async function mockSegment(): Promise<SegmentMock> {
  const mock = await SegmentMock.start(KEY);
  onTestFinished(() => mock[Symbol.asyncDispose]());
  return mock;
}

async function run(mock: SegmentMock, options: Partial<VendorRunOptions> = {}): Promise<VendorRun> {
  const opened = await VendorRun.open({
    connector: segment,
    settings: { write_key: KEY, base_url: mock.server.url, allow_private: true },
    object: "track",
    mode: "event",
    columns: { userId: "text", timestamp: "timestamp with time zone", total: "numeric" },
    options: { event: "Order Completed" },
    ...options,
  });
  onTestFinished(() => opened[Symbol.asyncDispose]());
  return opened;
}

interface Sent {
  readonly batch: readonly { readonly messageId: string; readonly userId: string }[];
}
const sent = (mock: SegmentMock): Sent[] => mock.server.requests.map(({ body }) => JSON.parse(body) as Sent);

test("an event has a time of its own, or that of the change", async () => {
  const mock = await mockSegment();
  const events = await run(mock);
  events.put({ userId: "u1", timestamp: "2026-01-02 03:04:05.678901+00", total: "12.50" }, "insert");
  events.put({ userId: "u2", timestamp: null, total: null }, "insert");
  await events.finished();
  expect(mock.tracked.map(({ event, timestamp }) => [event, timestamp])).toEqual([
    ["Order Completed", "2026-01-02T03:04:05.678901Z"],
    ["Order Completed", "2023-11-14T22:13:20.000Z"],
  ]);
});

test("what Segment would drop and answer 200 to is rejected before it is sent, and the others are delivered", async () => {
  const mock = await mockSegment();
  const events = await run(mock, { columns: { id: "text", userId: "text", event: "text", note: "text" }, options: {} });
  events.put({ id: "1", userId: "u1", event: "a", note: "x" }, "insert");
  events.put({ id: "2", userId: null, event: "a", note: "x" }, "insert");
  events.put({ id: "3", userId: "u3", event: null, note: "x" }, "insert");
  events.put({ id: "4", userId: "u4", event: "a", note: "🚰".repeat(9000) }, "insert");
  events.put({ id: "5", userId: "u5", event: "a", note: "x" }, "insert");
  await events.finished();
  expect(events.rejected.map(({ key, error }) => [key, error.message])).toEqual([
    ["2", "Segment drops a call without userId or anonymousId"],
    ["3", "Segment drops a call without event"],
    ["4", "Segment drops a call of more than 32768 bytes"],
  ]);
  expect([events.delivered, mock.tracked.length, mock.dropped, sent(mock).length]).toEqual([2, 2, [], 1]);
});

test("a track call that is sent again has its message id again; a state has another", async () => {
  const mock = await mockSegment();
  mock.server.fail(faultsInTurn(["reset-after"]));
  const events = await run(mock);
  events.put({ userId: "u1", timestamp: null, total: "1" }, "insert");
  await events.finished();
  expect(sent(mock)[1]).toEqual(sent(mock)[0]);
  expect(mock.tracked).toHaveLength(1);
  const columns = { userId: "text", plan: "text" };
  const users = await run(mock, { object: "identify", mode: "upsert", columns, options: {} });
  mock.server.fail(faultsInTurn(["reset-after"]));
  users.put({ userId: "u1", plan: "pro" }, "insert");
  await users.finished();
  const [first, second] = sent(mock)
    .slice(2)
    .map(({ batch }) => batch[0]?.messageId);
  expect(first).not.toBe(second);
  expect([...mock.users.get("u1")!]).toEqual([["plan", "pro"]]);
});

test("a membership is found by group and user", async () => {
  const mock = await mockSegment();
  const columns = { groupId: "text", userId: "text", role: "text" };
  const members = await run(mock, { object: "group", mode: "upsert", columns, keys: 2, options: {} });
  members.put({ groupId: "g1", userId: "u1", role: "owner" }, "insert");
  members.put({ groupId: "g1", userId: "u2", role: "guest" }, "insert");
  await members.finished();
  expect([...mock.memberships.keys()]).toEqual(["g1 u1", "g1 u2"]);
});

test("many small rows stay within what a batch may have", async () => {
  const mock = await mockSegment();
  const events = await run(mock);
  for (let n = 0; n < 3000; n++) events.put({ userId: `u${n}`, timestamp: null, total: String(n) }, "insert");
  await events.finished();
  expect([events.delivered, mock.tracked.length, mock.dropped]).toEqual([3000, 3000, []]);
  expect(Math.max(...sent(mock).map(({ batch }) => batch.length))).toBeLessThanOrEqual(1000);
});
