// What is Klaviyo's own; what every vendor's destination must do is in test/conformance/vendors/klaviyo.test.ts.
import { expect, onTestFinished, test } from "vitest";
import { neverAborted } from "../../../test/conformance/running.ts";
import { KlaviyoMock } from "../../../test/mocks/klaviyo/klaviyo.ts";
import { textsOf } from "../../../test/mocks/klaviyo/profile.ts";
import type { Fault, MockRequest } from "../../../test/mocks/support/mock.ts";
import { delivery } from "../../../test/support/deliveries.ts";
import { VendorRun, type VendorRunOptions } from "../../../test/support/vendor-lane.ts";
import type { Session } from "../../kit/vendor/session.ts";
import { eventOperations } from "./events.ts";
import klaviyo from "./index.ts";

const JOBS = "/api/profile-bulk-import-jobs";

async function mockKlaviyo(): Promise<KlaviyoMock> {
  const mock = await KlaviyoMock.start("pk_1", ["L1"]);
  onTestFinished(() => mock[Symbol.asyncDispose]());
  return mock;
}

async function run(mock: KlaviyoMock, options: Partial<VendorRunOptions> = {}): Promise<VendorRun> {
  const opened = await VendorRun.open({
    connector: klaviyo,
    settings: { key: "pk_1", base_url: mock.server.url, allow_private: true },
    object: "profiles",
    mode: "mirror",
    onDelete: { kind: "delete" },
    columns: { email: "text", phone_number: "text", plan: "text" },
    ...options,
  });
  onTestFinished(() => opened[Symbol.asyncDispose]());
  return opened;
}

const people = (count: number): { email: string; phone_number: string | null; plan: string }[] =>
  Array.from({ length: count }, (_, n) => ({ email: `u${n}@example.com`, phone_number: null, plan: "pro" }));
const requests = (mock: KlaviyoMock, method: string, url: string): readonly MockRequest[] =>
  mock.server.requests.filter((request) => request.method === method && request.url === url);

/** Changes the status of jobs as it is told, and nothing else. */
function tellOfJobs(mock: KlaviyoMock, attributes: Readonly<Record<string, unknown>>): void {
  let times = 0;
  mock.server.fail(({ method, path }): Fault | null => {
    if (method !== "GET" || path.length !== 3 || path[1] !== "profile-bulk-import-jobs") return null;
    times += 1;
    if (times > 1) return null;
    return { status: 200, body: { data: { type: "profile-bulk-import-job", id: path[2], attributes } } };
  });
}

test("a few rows are sent one by one, many as a job whose errors are read to the last page", async () => {
  const mock = await mockKlaviyo();
  const profiles = await run(mock);
  for (const row of people(3)) profiles.put(row);
  await profiles.finished();
  expect(requests(mock, "POST", "/api/profile-import")).toHaveLength(3);
  expect(requests(mock, "POST", JOBS)).toHaveLength(0);
  const rows = people(300).map((row, n) => (n % 2 === 0 ? row : { ...row, phone_number: `bad${n}` }));
  for (const row of rows) profiles.put(row);
  await profiles.finished();
  expect(requests(mock, "POST", JOBS)).toHaveLength(1);
  expect([profiles.delivered, profiles.rejected.length]).toEqual([3 + 150, 150]);
  expect(profiles.rejected[0]?.error.message).toBe("Klaviyo refused this row: invalid");
  expect(profiles.rejected[0]?.error.answer).toContain("/data/attributes/phone_number Invalid phone number");
  expect(profiles.rejected.map(({ error }) => error.answer).join()).not.toContain("bad");
  expect(mock.profiles.size).toBe(151);
});

test("rows that a refused job points at are rejected, and the others sent without them", async () => {
  const mock = await mockKlaviyo();
  const profiles = await run(mock);
  const rows = people(20).map((row, n) => (n % 10 === 3 ? { ...row, email: `nobody${n}` } : row));
  for (const row of rows) profiles.put(row);
  await profiles.finished();
  expect(profiles.rejected.map(({ key }) => key)).toEqual(["nobody3", "nobody13"]);
  expect([profiles.delivered, requests(mock, "POST", JOBS).length]).toEqual([18, 2]);
});

test.each([
  ["counts more failures than it names", { status: "complete", total_count: 8, completed_count: 7, failed_count: 1 }],
  ["counts other rows than it was given", { status: "complete", total_count: 7, completed_count: 7, failed_count: 0 }],
  ["has not done all of them", { status: "complete", total_count: 8, completed_count: 5, failed_count: 0 }],
  ["does not count", { status: "complete" }],
  ["was cancelled", { status: "cancelled", total_count: 8 }],
])("a job that %s is sent again", async (_, attributes) => {
  const mock = await mockKlaviyo();
  tellOfJobs(mock, attributes);
  const profiles = await run(mock);
  for (const row of people(8)) profiles.put(row);
  await profiles.finished();
  expect([profiles.delivered, profiles.rejected]).toEqual([8, []]);
  expect(requests(mock, "POST", JOBS).length).toBe(2);
});

test("who is gone leaves the list, and is a profile still", async () => {
  const mock = await mockKlaviyo();
  const members = await run(mock, { object: "lists/L1" });
  const rows = people(12);
  for (const row of rows) members.put(row);
  await members.finished();
  for (const row of rows.slice(0, 10)) members.gone(row);
  await members.finished();
  expect(mock.members("L1").map(({ attributes }) => attributes["email"])).toEqual([
    "u10@example.com",
    "u11@example.com",
  ]);
  expect(mock.profiles.size).toBe(12);
  expect(requests(mock, "DELETE", "/api/lists/L1/relationships/profiles").length).toBe(1);
});

test("a list that is not there stops the sync", async () => {
  const mock = await mockKlaviyo();
  const members = await run(mock, { object: "lists/L2" });
  members.put(people(1)[0]!);
  await members.finished();
  expect(members.stops.map(({ code, message }) => [code, message])).toEqual([
    ["destination.config", "Klaviyo answered 404: not_found"],
  ]);
});

test("consent is given for each new row, by what it can be reached at", async () => {
  const mock = await mockKlaviyo();
  const consents = await run(mock, {
    object: "subscriptions/L1",
    mode: "insert",
    onDelete: { kind: "ignore" },
    columns: { email: "text", phone_number: "text", consented_at: "timestamp with time zone" },
  });
  expect(await consents.destination.check([consents.target], neverAborted())).toEqual([]);
  const at = "2026-01-02 03:04:05+00";
  consents.put({ email: "a@example.com", phone_number: "+15551234567", consented_at: at }, "insert");
  consents.put({ email: "b@example.com", phone_number: null, consented_at: at }, "insert");
  consents.put({ email: "c@example.com", phone_number: null, consented_at: null }, "insert");
  await consents.finished();
  const marketing = { marketing: { consent: "SUBSCRIBED", consented_at: "2026-01-02T03:04:05Z" } };
  expect(mock.subscriptions.get("L1")?.map(({ attributes }) => attributes["subscriptions"])).toEqual([
    { email: marketing, sms: marketing },
    { email: marketing },
  ]);
  expect(consents.rejected.map(({ key }) => key)).toEqual(["c@example.com"]);
});

test("an external id is looked up to be deleted; one that is not there is deleted already", async () => {
  const mock = await mockKlaviyo();
  const profiles = await run(mock, { columns: { external_id: "text", plan: "text" } });
  for (const id of ['a"1', "2"]) profiles.put({ external_id: id, plan: "pro" });
  await profiles.finished();
  for (const id of ['a"1', "3"]) profiles.gone({ external_id: id, plan: "pro" });
  await profiles.finished();
  expect([...mock.profiles.values()].map((profile) => textsOf(profile)["external_id"])).toEqual(["2"]);
  expect(requests(mock, "POST", "/api/data-privacy-deletion-jobs")).toHaveLength(1);
});

test("Klaviyo's own id finds profiles, and makes none", async () => {
  const mock = await mockKlaviyo();
  const profiles = await run(mock);
  profiles.put(people(1)[0]!);
  await profiles.finished();
  const [{ id } = { id: "" }] = mock.profiles.values();
  const byId = await run(mock, { columns: { id: "text", plan: "text" } });
  byId.put({ id, plan: "free" });
  byId.put({ id: "none", plan: "free" });
  await byId.finished();
  expect([byId.delivered, byId.rejected, byId.stops]).toEqual([2, [], []]);
  expect([...mock.profiles.values()].map((profile) => textsOf(profile)["plan"])).toEqual(["free"]);
});

test("an event has the time of its commit; one of a backfill sets off no flow", async () => {
  const bodies: string[] = [];
  const session = {
    request: async ({ body }: { body: string }) => {
      bodies.push(body);
      return { status: 202 };
    },
  } as unknown as Session;
  const fields = { email: "text", metric: "text", amount: "numeric" };
  const values = ["a@example.com", "Ordered", "12345678901234567890.50"];
  const live = delivery({ op: "event", fields, values, committedAt: 1_767_323_045_000_123n });
  const history = delivery({ op: "event", fields, values, committedAt: null });
  await eventOperations().event!.send([live, history], session);
  const attributes = (
    JSON.parse(bodies[0]!) as {
      data: {
        attributes: {
          "events-bulk-create": { data: { attributes: { events: { data: { attributes: object }[] } } }[] };
        };
      };
    }
  ).data.attributes["events-bulk-create"].data.map((each) => each.attributes.events.data[0]!.attributes);
  expect(attributes).toMatchObject([
    { time: "2026-01-02T03:04:05.000123Z", unique_id: live.id },
    { backfill: true, unique_id: history.id },
  ]);
  expect(attributes[0]).not.toHaveProperty("backfill");
  expect(attributes[1]).not.toHaveProperty("time");
  expect(bodies[0]).toContain('"properties":{"amount":12345678901234567890.50}');
});
