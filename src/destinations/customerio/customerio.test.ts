// What is Customer.io's own; what every vendor's destination must do is in test/conformance/vendors/customerio.test.ts.
import { expect, onTestFinished, test } from "vitest";
import { neverAborted } from "../../../test/conformance/running.ts";
import { CustomerioMock } from "../../../test/mocks/customerio/customerio.ts";
import { faultsInTurn } from "../../../test/mocks/support/faults.ts";
import { VendorRun, type VendorRunOptions } from "../../../test/support/vendor-lane.ts";
import customerio from "./index.ts";

async function mockCustomerio(): Promise<CustomerioMock> {
  const mock = await CustomerioMock.start("key-1");
  onTestFinished(() => mock[Symbol.asyncDispose]());
  return mock;
}

async function run(mock: CustomerioMock, options: Partial<VendorRunOptions> = {}): Promise<VendorRun> {
  const opened = await VendorRun.open({
    connector: customerio,
    settings: { site_id: mock.siteId, api_key: "key-1", base_url: mock.server.url, allow_private: true },
    object: "people",
    mode: "mirror",
    onDelete: { kind: "delete" },
    columns: { id: "text", plan: "text" },
    ...options,
  });
  onTestFinished(() => opened[Symbol.asyncDispose]());
  return opened;
}

const check = (of: VendorRun) => of.destination.check([of.target], neverAborted());
const items = (mock: CustomerioMock, at = -1): unknown[] =>
  (JSON.parse(mock.server.requests.at(at)!.body) as { batch: unknown[] }).batch;

test("rows that come and rows that go share a request", async () => {
  const mock = await mockCustomerio();
  const people = await run(mock);
  for (const id of ["1", "2", "3"]) people.put({ id, plan: "free" });
  await people.finished();
  people.gone({ id: "2", plan: "free" });
  people.put({ id: "3", plan: null });
  people.put({ id: "4", plan: "pro" });
  await people.finished();
  expect(items(mock)).toEqual([
    { type: "person", identifiers: { id: "2" }, action: "delete" },
    { type: "person", identifiers: { id: "3" }, action: "identify", attributes: { plan: null } },
    { type: "person", identifiers: { id: "4" }, action: "identify", attributes: { plan: "pro" } },
  ]);
  expect(mock.server.requests).toHaveLength(2);
});

test("who is found by Customer.io's own id is never made; by e-mail, in whatever case", async () => {
  const mock = await mockCustomerio();
  const byEmail = await run(mock, { columns: { email: "text", plan: "text" } });
  byEmail.put({ email: "A@example.com", plan: "free" });
  byEmail.put({ email: "a@EXAMPLE.com", plan: "pro" });
  await byEmail.finished();
  expect(mock.server.requests.length).toBe(2);
  const [id] = mock.people.keys();
  const byId = await run(mock, { columns: { cio_id: "text", plan: "text" } });
  expect(await check(byId)).toEqual([]);
  byId.put({ cio_id: id!, plan: "team" });
  byId.put({ cio_id: "cio_77", plan: "team" });
  await byId.finished();
  expect([...mock.people.values()].map((person) => person.get("plan"))).toEqual(["team"]);
});

test("each row of a partial answer is told why, without its values", async () => {
  const mock = await mockCustomerio();
  const people = await run(mock);
  people.put({ id: "1", plan: "free" });
  people.put({ id: "", plan: "nameless" });
  people.put({ id: "3", plan: "considerable".repeat(100) });
  people.put({ id: "4", plan: "x".repeat(40_000) });
  await people.finished();
  expect(mock.server.requests).toHaveLength(1);
  expect(people.rejected.map(({ key, error }) => [key, error.code, error.answer?.includes("considerable")])).toEqual([
    ["", "destination.refused", false],
    ["3", "destination.refused", false],
    ["4", "destination.too_large", undefined],
  ]);
  expect(people.rejected[1]?.error.answer).toContain("cannot be longer than 1000 bytes");
  expect(people.delivered).toBe(1);
});

test("an answer that names a row which was not sent makes those that it does not name be sent again", async () => {
  const mock = await mockCustomerio();
  const people = await run(mock);
  const error = (index: number) => ({ batch_index: index, reason: "invalid", field: "plan", message: "no" });
  mock.server.fail(faultsInTurn([{ status: 207, body: { errors: [error(1), error(9)] } }]));
  for (const id of ["1", "2", "3"]) people.put({ id, plan: "free" });
  await people.finished();
  expect(people.rejected.map(({ key }) => key)).toEqual(["2"]);
  expect([people.delivered, mock.server.requests.length, mock.people.size]).toEqual([2, 2, 2]);
});

test("a batch that has become larger than Customer.io takes is halved, and no row is lost by it", async () => {
  const mock = await mockCustomerio();
  const people = await run(mock);
  for (let id = 0; id < 900; id += 1) people.put({ id: String(id), plan: "\u0001".repeat(150) });
  await people.finished();
  expect(mock.server.requests.some(({ body }) => body.length > 500_000)).toBe(true);
  expect([people.rejected, people.delivered, mock.people.size]).toEqual([[], 900, 900]);
});

test("events have a time, a name, and an id by which a repeat is dropped", async () => {
  const mock = await mockCustomerio();
  const events = await run(mock, {
    object: "events",
    mode: "event",
    columns: { id: "text", timestamp: "timestamp with time zone", total: "numeric" },
    options: { event: "order placed" },
  });
  expect(await check(events)).toEqual([]);
  mock.server.fail(faultsInTurn(["reset-after"]));
  events.put({ id: "1", timestamp: "2026-01-02 03:04:05.5+00", total: "12.50" }, "insert");
  events.put({ id: "1", timestamp: null, total: null }, "insert");
  await events.finished();
  expect(mock.server.requests.length).toBeGreaterThan(1);
  expect(mock.events.map(({ name, timestamp, attributes }) => [name, timestamp, [...attributes]])).toEqual([
    ["order placed", "1767323045", [["total", "12.50"]]],
    ["order placed", "1700000000", []],
  ]);
});

test("of events, only the one whose person is not known is a failure", async () => {
  const mock = await mockCustomerio();
  const columns = { event: "text", id: "text", name: "text" };
  const events = await run(mock, { object: "events", mode: "event", columns, match: "id" });
  for (const [event, id] of ["1", null, "3"].entries()) events.put({ event: `e-${event}`, id, name: "left" }, "insert");
  await events.finished();
  expect(events.rejected.map(({ error }) => error.code)).toEqual(["delivery.no_match"]);
  expect([events.delivered, mock.events.length]).toEqual([2, 2]);
});

test("objects are of the type that the sync names, and go with their rows", async () => {
  const mock = await mockCustomerio();
  const accounts = await run(mock, {
    object: "objects/2",
    columns: { object_id: "text", seats: "numeric", name: "text" },
  });
  expect(await check(accounts)).toEqual([]);
  accounts.put({ object_id: "acme", seats: "12345678901234567890.5", name: "Acme" });
  accounts.put({ object_id: "beta", seats: null, name: "x".repeat(1001) });
  accounts.put({ object_id: "gamma", seats: "1", name: "Gamma" });
  await accounts.finished();
  accounts.put({ object_id: "acme", seats: "12345678901234567890.5", name: null });
  accounts.gone({ object_id: "gamma", seats: "1", name: "Gamma" });
  await accounts.finished();
  expect(accounts.rejected.map(({ key }) => key)).toEqual(["beta"]);
  expect([...mock.objects].map(([key, object]) => [key, [...object]])).toEqual([
    ["2:acme", [["seats", "12345678901234567890.5"]]],
  ]);
});

test("relationships have the key of both, and go with their rows", async () => {
  const mock = await mockCustomerio();
  const members = await run(mock, {
    object: "relationships/1",
    columns: { id: "text", object_id: "text", role: "text" },
    keys: 2,
  });
  expect(await check(members)).toEqual([]);
  members.put({ id: "1", object_id: "acme", role: "admin" });
  members.put({ id: "1", object_id: "beta", role: "guest" });
  members.put({ id: "2", object_id: "acme", role: "admin" });
  await members.finished();
  members.put({ id: "1", object_id: "acme", role: null });
  members.gone({ id: "1", object_id: "beta", role: "guest" });
  await members.finished();
  expect([members.rejected, members.stops]).toEqual([[], []]);
  expect([...mock.relationships].map(([key, attributes]) => [key, [...attributes]])).toEqual([
    ["cio_1 1:acme", []],
    ["cio_2 1:acme", [["role", "admin"]]],
  ]);
});

test("check says what people cannot be found by, what is missing, and that the region is another one", async () => {
  const mock = await mockCustomerio();
  const byPlan = await run(mock, { columns: { email: "text", plan: "text" } });
  expect((await check(byPlan)).map(({ code }) => code)).toEqual([]);
  const noPerson = VendorRun.open({
    connector: customerio,
    settings: { site_id: mock.siteId, api_key: "key-1", base_url: mock.server.url, allow_private: true },
    object: "people",
    mode: "upsert",
    columns: { user_id: "text", plan: "text" },
  });
  await expect(noPerson).rejects.toThrow("Customer.io finds people by `id`, `email`, `phone`, `cio_id`; the sync's");
  const nameless = await run(mock, { object: "events", mode: "event", columns: { id: "text", total: "numeric" } });
  expect((await check(nameless)).map(({ message }) => message)).toEqual([
    "Customer.io events needs `name`, which is not mapped.",
  ]);
  mock.region = "eu";
  expect((await check(byPlan)).map(({ code, message }) => [code, message])).toEqual([
    ["destination.config", "The account's region is another one: set `region: eu`"],
  ]);
});
