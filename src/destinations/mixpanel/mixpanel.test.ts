// What is Mixpanel's own; what every vendor's destination must do is in test/conformance/vendors/mixpanel.test.ts.
import { expect, onTestFinished, test } from "vitest";
import { neverAborted } from "../../../test/conformance/running.ts";
import { MixpanelMock } from "../../../test/mocks/mixpanel/mixpanel.ts";
import { faultsInTurn } from "../../../test/mocks/support/faults.ts";
import { VendorRun, type VendorRunOptions } from "../../../test/support/vendor-lane.ts";
import mixpanel from "./index.ts";

async function mockMixpanel(): Promise<MixpanelMock> {
  const mock = await MixpanelMock.start("secret-1");
  onTestFinished(() => mock[Symbol.asyncDispose]());
  return mock;
}

async function run(mock: MixpanelMock, options: Partial<VendorRunOptions> = {}): Promise<VendorRun> {
  const opened = await VendorRun.open({
    connector: mixpanel,
    settings: {
      project_id: mock.projectId,
      service_account: mock.user,
      secret: "secret-1",
      project_token: mock.projectToken,
      base_url: mock.server.url,
      allow_private: true,
    },
    object: "events",
    mode: "event",
    columns: { distinct_id: "text", time: "timestamp with time zone", total: "numeric" },
    options: { event: "Order placed" },
    ...options,
  });
  onTestFinished(() => opened[Symbol.asyncDispose]());
  return opened;
}

const sent = (mock: MixpanelMock): unknown[][] => mock.server.requests.map(({ body }) => JSON.parse(body) as unknown[]);
const USERS = { object: "users", mode: "mirror", options: {}, columns: { distinct_id: "text", plan: "text" } } as const;

test("an event has a time of its own, or that of the change, in milliseconds", async () => {
  const mock = await mockMixpanel();
  const events = await run(mock);
  events.put({ distinct_id: "u1", time: "2026-01-02 03:04:05.678901+01", total: "12.50" }, "insert");
  events.put({ distinct_id: "u2", time: null, total: null }, "insert");
  events.put({ distinct_id: "u3", time: "1767323045", total: null }, "insert");
  await events.finished();
  expect([...mock.events.values()].map(({ event, properties }) => [event, properties.get("time")])).toEqual([
    ["Order placed", "1767319445678"],
    ["Order placed", "1700000000000"],
    ["Order placed", "1767323045"],
  ]);
});

test("of a batch the events that Mixpanel names are rejected with its reason, and the others are delivered by the same request", async () => {
  const mock = await mockMixpanel();
  const events = await run(mock);
  for (const id of ["u1", "anonymous", "u3"]) events.put({ distinct_id: id, time: null, total: "1" }, "insert");
  events.put({ distinct_id: "u4", time: "infinity", total: "1" }, "insert");
  await events.finished();
  expect(mock.server.requests).toHaveLength(1);
  expect([events.delivered, events.rejected.map(({ key }) => key)]).toEqual([2, ["anonymous", "u4"]]);
  expect(events.rejected[0]?.error.answer).toContain("is invalid");
  expect(events.rejected.map(({ error }) => error.answer).join()).not.toContain("anonymous");
});

test("a count that does not account for every event is no success, and what is sent again is not there twice", async () => {
  const mock = await mockMixpanel();
  const body = { code: 200, num_records_imported: 2, status: "OK" };
  mock.server.fail(faultsInTurn([{ status: 200, body }, "reset-after"]));
  const events = await run(mock);
  for (const id of ["u1", "u2", "u3"]) events.put({ distinct_id: id, time: null, total: "1" }, "insert");
  await events.finished();
  expect([events.delivered, mock.events.size]).toEqual([3, 3]);
  expect(sent(mock)).toHaveLength(3);
  expect(sent(mock)[1]).toEqual(sent(mock)[0]);
});

test("a null in a profile removes the property", async () => {
  const mock = await mockMixpanel();
  const users = await run(mock, USERS);
  users.put({ distinct_id: "u1", plan: "pro" }, "insert");
  await users.finished();
  users.put({ distinct_id: "u1", plan: null });
  await users.finished();
  expect(sent(mock)[1]).toEqual([
    { $token: mock.projectToken, $distinct_id: "u1", $set: {} },
    { $token: mock.projectToken, $distinct_id: "u1", $unset: ["plan"] },
  ]);
  expect([...mock.users.get("u1")!]).toEqual([]);
});

test("group profiles are those of a group key, and are deleted with their rows", async () => {
  const mock = await mockMixpanel();
  const columns = { group_id: "text", $name: "text", seats: "bigint" };
  const groups = await run(mock, { ...USERS, object: "groups/company", columns, onDelete: { kind: "delete" } });
  groups.put({ group_id: "g1", $name: "Acme", seats: "3" }, "insert");
  groups.put({ group_id: "g2", $name: "Bolt", seats: null }, "insert");
  await groups.finished();
  groups.gone({ group_id: "g2", $name: "Bolt", seats: null });
  await groups.finished();
  expect([groups.delivered, groups.rejected]).toEqual([3, []]);
  expect([...mock.groups].map(([key, group]) => [key, ...group])).toEqual([
    ["company g1", ["$name", "Acme"], ["seats", "3"]],
  ]);
});

test("when it is not said which update failed, the batch is halved until it is found", async () => {
  const mock = await mockMixpanel();
  mock.server.fail(({ body }) =>
    body.includes("u2") ? { status: 200, body: { status: 0, error: "some update is invalid" } } : null,
  );
  const users = await run(mock, USERS);
  for (const id of ["u1", "u2", "u3"]) users.put({ distinct_id: id, plan: "pro" }, "insert");
  await users.finished();
  expect([users.delivered, users.rejected.map(({ key }) => key)]).toEqual([2, ["u2"]]);
});

test("`1`, by which some of the updates may have been taken, is no success", async () => {
  const mock = await mockMixpanel();
  mock.server.fail(faultsInTurn([{ status: 200, body: "1" }]));
  const users = await run(mock, USERS);
  for (const id of ["u1", "u2"]) users.put({ distinct_id: id, plan: "pro" }, "insert");
  await users.finished();
  expect([users.delivered, sent(mock).length]).toEqual([2, 2]);
});

test("profiles need the project's token, and say so at check", async () => {
  const mock = await mockMixpanel();
  const settings = {
    project_id: mock.projectId,
    service_account: mock.user,
    secret: "secret-1",
    base_url: mock.server.url,
    allow_private: true,
  };
  const events = await run(mock, { settings });
  expect(
    await events.destination.check(
      [events.target, { ...events.target, object: "users", mode: "upsert" }],
      neverAborted(),
    ),
  ).toMatchObject([
    { code: "destination.config", message: "Mixpanel users: profiles need the setting `project_token`" },
  ]);
});
