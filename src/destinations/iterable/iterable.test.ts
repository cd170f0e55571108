// What is Iterable's own; what every vendor's destination must do is in test/conformance/vendors/iterable.test.ts.
import { expect, onTestFinished, test } from "vitest";
import { neverAborted } from "../../../test/conformance/running.ts";
import { IterableMock, type ProjectOptions } from "../../../test/mocks/iterable/iterable.ts";
import { faultsInTurn } from "../../../test/mocks/support/faults.ts";
import { VendorRun, type VendorRunOptions } from "../../../test/support/vendor-lane.ts";
import iterable from "./index.ts";

async function project(options: Partial<ProjectOptions> = {}): Promise<IterableMock> {
  const mock = await IterableMock.start("key-1", { schema: { plan: "string", age: "long" }, ...options });
  onTestFinished(() => mock[Symbol.asyncDispose]());
  return mock;
}

async function run(mock: IterableMock, options: Partial<VendorRunOptions> = {}): Promise<VendorRun> {
  const opened = await VendorRun.open({
    connector: iterable,
    settings: { api_key: "key-1", base_url: mock.server.url, allow_private: true },
    object: "users",
    mode: "mirror",
    onDelete: { kind: "delete" },
    columns: { email: "text", plan: "text" },
    ...options,
  });
  onTestFinished(() => opened[Symbol.asyncDispose]());
  return opened;
}

const check = (of: VendorRun) => of.destination.check([of.target], neverAborted());
const reasons = (of: VendorRun) => of.rejected.map(({ key, error }) => [key, error.message]);

test("every list of users that were not taken leads to its rows, and the others are delivered", async () => {
  const mock = await project();
  mock.forgotten.add("gone@example.com");
  const ids = await run(mock, { columns: { userId: "text", plan: "text" } });
  ids.put({ userId: "u-1", plan: "free" });
  await ids.finished();
  const users = await run(mock, { columns: { email: "text", userId: "text", plan: "text" } });
  users.put({ email: "1@example.com", userId: "u-9", plan: "free" });
  users.put({ email: "nobody", userId: null, plan: "free" });
  users.put({ email: "Gone@example.com", userId: null, plan: "free" });
  users.put({ email: "4@example.com", userId: "u-1", plan: "free" });
  users.put({ email: "5@example.com", userId: null, plan: "pro" });
  await users.finished();
  expect(reasons(users)).toEqual([
    ["nobody", "Iterable refused this row: invalidEmails"],
    ["Gone@example.com", "Iterable refused this row: forgottenEmails"],
    ["4@example.com", "Iterable refused this row: conflictUserIds"],
  ]);
  expect(mock.users.map(({ email }) => email)).toEqual([null, "1@example.com", "5@example.com"]);
  expect(users.delivered).toBe(2);
});

test("of addresses that differ in case, which are one user, the later waits for the earlier", async () => {
  const mock = await project();
  const users = await run(mock);
  users.put({ email: "Ada@example.com", plan: "free" });
  users.put({ email: "ada@example.com", plan: "pro" });
  await users.finished();
  expect(mock.server.requests).toHaveLength(2);
  expect([users.delivered, mock.users.map(({ fields }) => fields.get("plan"))]).toEqual([2, ["pro"]]);
});

test("a value of another type than the field has is told before, and is a failure of its row", async () => {
  const mock = await project();
  const users = await run(mock, { columns: { email: "text", age: "text" } });
  expect((await check(users)).map(({ level, message }) => [level, message])).toEqual([
    ["warning", "`age` is of type text; Iterable users has a number there: a text that is none is refused."],
  ]);
  users.put({ email: "1@example.com", age: "old" });
  await users.finished();
  expect(reasons(users)).toEqual([["1@example.com", "Iterable refused this row: invalidDataEmails"]]);
});

test("fields that the project drops stop the sync, by their names; with create_fields they are added", async () => {
  const mock = await project({ unknownFields: "drop" });
  const columns = { email: "text", plan: "text", nickname: "text" };
  const users = await run(mock, { columns });
  expect((await check(users)).map(({ message }) => message)).toEqual(["Iterable users has no field `nickname`."]);
  users.put({ email: "1@example.com", plan: "free", nickname: "one" });
  await users.finished();
  expect(users.stops.map(({ code, message }) => [code, message])).toEqual([
    [
      "destination.config",
      "The project dropped `nickname`: add what it does not have in Iterable, or set `create_fields: true`",
    ],
  ]);
  const adding = await run(mock, { columns, options: { create_fields: true } });
  expect(await check(adding)).toEqual([]);
  adding.put({ email: "1@example.com", plan: "free", nickname: "one" });
  await adding.finished();
  expect(mock.users[0]?.fields.get("nickname")).toBe("one");
});

test("numbers that do not come to the rows that were sent make those be sent again that are in no list", async () => {
  const mock = await project();
  const users = await run(mock);
  const body = { successCount: 1, failCount: 2, failedUpdates: { invalidDataEmails: ["2@example.com"] } };
  mock.server.fail(faultsInTurn([{ status: 200, body }]));
  for (const n of [1, 2, 3]) users.put({ email: `${n}@example.com`, plan: "free" });
  await users.finished();
  expect(users.rejected.map(({ key }) => key)).toEqual(["2@example.com"]);
  expect([users.delivered, mock.users.length, mock.server.requests.length]).toEqual([2, 2, 2]);
});

test("who is gone already is deleted; a user's id may hold anything", async () => {
  const mock = await project();
  const users = await run(mock, { columns: { userId: "text", plan: "text" } });
  users.put({ userId: "a/b?c", plan: "free" });
  await users.finished();
  users.gone({ userId: "a/b?c", plan: "free" });
  users.gone({ userId: "u-2", plan: "free" });
  await users.finished();
  expect([mock.users, users.rejected, users.left]).toEqual([[], [], 0]);
  mock.server.fail(() => ({ status: 400, body: { msg: "?", code: "InvalidUserIdError", params: null } }));
  users.gone({ userId: "u-3", plan: "free" });
  await users.finished();
  expect(reasons(users)).toEqual([["u-3", "Iterable refused this row: InvalidUserIdError"]]);
});

test("an event whose user is not there yet is tried again; one whose name is not allowed is a failure", async () => {
  const mock = await project({ knownUsersOnly: true, disallowedEvents: ["secret"] });
  const events = await run(mock, {
    object: "events",
    mode: "event",
    columns: { email: "text", eventName: "text", createdAt: "timestamp with time zone", total: "numeric" },
  });
  expect(await check(events)).toEqual([]);
  const users = await run(mock);
  const at = "2026-01-02 03:04:05+00";
  users.put({ email: "1@example.com", plan: "free" });
  await users.finished();
  events.put({ email: "1@example.com", eventName: "paid", createdAt: at, total: "12.50" }, "insert");
  events.put({ email: "1@example.com", eventName: "secret", createdAt: at, total: "1" }, "insert");
  events.put({ email: "2@example.com", eventName: "paid", createdAt: null, total: "3.25" }, "insert");
  await expect.poll(() => [events.delivered, events.left, events.rejected.length]).toEqual([1, 1, 1]);
  expect(reasons(events)).toEqual([["1@example.com", "Iterable refused this row: disallowedEventNames"]]);
  users.put({ email: "2@example.com", plan: "free" });
  await events.finished();
  expect(
    [...mock.events.values()].map(({ user, name, createdAt, fields }) => [user, name, createdAt, [...fields]]),
  ).toEqual([
    ["1@example.com", "paid", "1767323045", [["total", "12.50"]]],
    ["2@example.com", "paid", "1700000000", [["total", "3.25"]]],
  ]);
});

test("an event's value of another type is found among the others, and a repeat is the same event", async () => {
  const mock = await project();
  const events = await run(mock, {
    object: "events",
    mode: "event",
    columns: { email: "text", total: "jsonb" },
    options: { event: "paid" },
  });
  mock.server.fail(faultsInTurn(["reset-after"]));
  events.put({ email: "1@example.com", total: "1" }, "insert");
  await events.finished();
  for (const total of ["2", '"many"', "3", "4"]) events.put({ email: "1@example.com", total }, "insert");
  await events.finished();
  expect([events.rejected.length, events.delivered, mock.events.size]).toEqual([1, 4, 4]);
  expect(events.rejected[0]?.error.message).toBe("Iterable answered 400: RequestFieldsTypesMismatched");
});

test("catalogs hold their items by id, keep what is left out, and lose what is gone", async () => {
  const mock = await project();
  mock.catalogs.set("Products", new Map());
  const products = await run(mock, {
    object: "catalogs/Products",
    columns: { sku: "text", name: "text", price: "numeric" },
  });
  expect(await check(products)).toEqual([]);
  products.put({ sku: "a-1", name: "A", price: "12345678901234567890.5" });
  products.put({ sku: "not an id", name: "B", price: "1" });
  products.put({ sku: "c-3", name: "C", price: null });
  await products.finished();
  products.put({ sku: "a-1", name: null, price: "12345678901234567890.5" });
  products.gone({ sku: "c-3", name: "C", price: null });
  await products.finished();
  expect(products.rejected.map(({ key }) => key)).toEqual(["not an id"]);
  expect([...mock.catalogs.get("Products")!].map(([id, item]) => [id, [...item]])).toEqual([
    ["a-1", [["price", "12345678901234567890.5"]]],
  ]);
  const missing = await run(mock, { object: "catalogs/Shops", columns: { id: "text", name: "text" } });
  expect((await check(missing)).map(({ code, message }) => [code, message])).toEqual([
    ["destination.config", expect.stringMatching(/^Iterable answered 404/)],
  ]);
});
