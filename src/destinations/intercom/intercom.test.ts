// What is Intercom's own; what every vendor's destination must do is in test/conformance/vendors/intercom.test.ts.
import { expect, onTestFinished, test } from "vitest";
import { neverAborted } from "../../../test/conformance/running.ts";
import { IntercomMock, tooMany, type WorkspaceOptions } from "../../../test/mocks/intercom/intercom.ts";
import { faultsInTurn } from "../../../test/mocks/support/faults.ts";
import { VendorRun, type VendorRunOptions } from "../../../test/support/vendor-lane.ts";
import intercom from "./index.ts";

async function workspace(options: WorkspaceOptions = {}): Promise<IntercomMock> {
  const made = { seats: "integer" } as const;
  const mock = await IntercomMock.start("token-1", { contact: made, company: made, ...options });
  onTestFinished(() => mock[Symbol.asyncDispose]());
  return mock;
}

async function run(mock: IntercomMock, options: Partial<VendorRunOptions> = {}): Promise<VendorRun> {
  const opened = await VendorRun.open({
    connector: intercom,
    settings: { access_token: "token-1", base_url: mock.server.url, allow_private: true },
    object: "contacts",
    mode: "mirror",
    onDelete: { kind: "delete" },
    columns: { external_id: "text", name: "text" },
    ...options,
  });
  onTestFinished(() => opened[Symbol.asyncDispose]());
  return opened;
}

const check = (of: VendorRun) => of.destination.check([of.target], neverAborted());
const calls = (mock: IntercomMock): string[] =>
  mock.server.requests.map(({ method, url }) => `${method} ${url.replaceAll(/[0-9a-f]{20,}/g, "ID")}`);
const reasons = (of: VendorRun) => of.rejected.map(({ key, error }) => [key, error.message]);
const names = (mock: IntercomMock) => [...mock.contacts.values()].map(({ fields }) => fields.get("name") ?? null);

test("a contact is looked up once, made when it is not there, and written by its id from then on", async () => {
  const mock = await workspace();
  const contacts = await run(mock);
  for (const name of ["one", "two", null]) {
    contacts.put({ external_id: "a/b", name });
    await contacts.finished();
  }
  expect(names(mock)).toEqual([null]);
  contacts.gone({ external_id: "a/b", name: null });
  await contacts.finished();
  expect(calls(mock)).toEqual([
    "GET /contacts/find_by_external_id/a%2Fb",
    "POST /contacts",
    "PUT /contacts/ID",
    "PUT /contacts/ID",
    "DELETE /contacts/ID",
  ]);
  expect(JSON.parse(mock.server.requests[1]!.body)).toEqual({ role: "user", external_id: "a/b", name: "one" });
  expect(mock.contacts.size).toBe(0);
});

test("one that was removed in Intercom is made anew; one that is not there is neither updated nor deleted", async () => {
  const mock = await workspace();
  const contacts = await run(mock);
  contacts.put({ external_id: "1", name: "one" });
  await contacts.finished();
  mock.contacts.clear();
  contacts.put({ external_id: "1", name: "two" });
  await contacts.finished();
  expect(names(mock)).toEqual(["two"]);
  mock.contacts.clear();
  contacts.gone({ external_id: "1", name: "two" });
  await contacts.finished();
  const update = await run(mock, { mode: "update" });
  update.put({ external_id: "1", name: "three" });
  await update.finished();
  expect([names(mock), contacts.rejected, update.rejected]).toEqual([[], [], []]);
});

test("by e-mail, who is there is found by the conflict; who has another's address is a failure", async () => {
  const mock = await workspace();
  const byId = await run(mock, { columns: { external_id: "text", email: "text", name: "text" } });
  byId.put({ external_id: "1", email: "Ada@example.com", name: "Ada" });
  await byId.finished();
  const byEmail = await run(mock, { mode: "upsert", columns: { email: "text", name: "text" } });
  expect(await check(byEmail)).toEqual([]);
  byEmail.put({ email: "ada@example.com", name: "Ada L." });
  byEmail.put({ email: "bob@example.com", name: "Bob" });
  await byEmail.finished();
  expect(names(mock)).toEqual(["Ada L.", "Bob"]);
  byId.put({ external_id: "2", email: "bob@example.com", name: "Not Bob" });
  await byId.finished();
  expect(reasons(byId)).toEqual([["2", "Intercom refused this row: conflict"]]);
  expect(names(mock)).toEqual(["Ada L.", "Bob"]);
});

test("what could not be found to be removed is refused before anything is sent", async () => {
  const mock = await workspace();
  const settings = { access_token: "token-1", base_url: mock.server.url, allow_private: true };
  const byEmail = { connector: intercom, settings, object: "contacts", columns: { email: "text", name: "text" } };
  await expect(VendorRun.open({ ...byEmail, mode: "mirror", onDelete: { kind: "delete" } })).rejects.toThrow(
    "By `email`, contacts can only be made and written",
  );
  await expect(VendorRun.open({ ...byEmail, mode: "update" })).rejects.toThrow("By `email`");
});

test.each([
  ["does not know them any more", false],
  ["still knows them", true],
])(
  "removed contacts can be archived, and come back with their rows, where a lookup %s",
  async (_said, findsArchived) => {
    const mock = await workspace({ findsArchived });
    const contacts = await run(mock, { options: { removed: "archive" } });
    contacts.put({ external_id: "1", name: "one" });
    await contacts.finished();
    contacts.gone({ external_id: "1", name: "one" });
    await contacts.finished();
    expect([...mock.contacts.values()].map(({ archived }) => archived)).toEqual([true]);
    contacts.put({ external_id: "1", name: "again" });
    await contacts.finished();
    expect([...mock.contacts.values()].map(({ archived, fields }) => [archived, fields.get("name")])).toEqual([
      [false, "again"],
    ]);
  },
);

test("contacts are attached to their companies; one whose company is not there yet is tried again", async () => {
  const mock = await workspace();
  const companies = await run(mock, { object: "companies", columns: { company_id: "text", name: "text" } });
  companies.put({ company_id: "acme", name: "Acme" });
  await companies.finished();
  const contacts = await run(mock, {
    columns: { external_id: "text", name: "text", account: "text" },
    options: { company: "account" },
  });
  expect(await check(contacts)).toEqual([]);
  contacts.put({ external_id: "1", name: "one", account: "acme" });
  contacts.put({ external_id: "2", name: "two", account: null });
  contacts.put({ external_id: "3", name: "three", account: "beta" });
  await expect.poll(() => contacts.delivered).toBe(2);
  expect(contacts.left).toBe(1);
  companies.put({ company_id: "beta", name: "Beta" });
  await contacts.finished();
  const idOf = (records: IntercomMock["contacts"], name: string): string =>
    [...records.values()].find(({ fields }) => fields.get("name") === name)!.id;
  expect([...mock.attached].sort()).toEqual(
    [
      ["one", "Acme"],
      ["three", "Beta"],
    ]
      .map(([contact, company]) => `${idOf(mock.contacts, contact!)} ${idOf(mock.companies, company!)}`)
      .sort(),
  );
  expect([...mock.contacts.values()].some(({ fields }) => fields.has("account"))).toBe(false);
});

test("an event waits for its contact, and a repeat in the same second is one event", async () => {
  const mock = await workspace();
  const events = await run(mock, {
    object: "events",
    mode: "event",
    columns: { external_id: "text", created_at: "timestamp with time zone", total: "numeric" },
    options: { event: "placed-order" },
  });
  expect(await check(events)).toEqual([]);
  const at = "2026-01-02 03:04:05.9+00";
  events.put({ external_id: "1", created_at: at, total: "12.50" }, "insert");
  await expect.poll(() => mock.server.requests.filter(({ url }) => url === "/events").length).toBeGreaterThan(1);
  expect(events.delivered).toBe(0);
  const contacts = await run(mock);
  contacts.put({ external_id: "1", name: "one" });
  await contacts.finished();
  await events.finished();
  mock.server.fail(faultsInTurn(["reset-after"]));
  events.put({ external_id: "1", created_at: null, total: null }, "insert");
  await events.finished();
  expect(mock.events.map(({ name, createdAt, metadata }) => [name, createdAt, [...metadata]])).toEqual([
    ["placed-order", "1767323045", [["total", "12.50"]]],
    ["placed-order", "1700000000", []],
  ]);
  expect(events.rejected).toEqual([]);
});

test("check counts the metadata of events, of which Intercom would ignore the eleventh", async () => {
  const mock = await workspace();
  const more = Object.fromEntries(Array.from({ length: 11 }, (_, n) => [`field_${n}`, "text"]));
  const events = await run(mock, {
    object: "events",
    mode: "event",
    columns: { external_id: "text", event_name: "text", ...more },
  });
  expect((await check(events)).map(({ code, message }) => [code, message])).toEqual([
    ["destination.config", "Intercom keeps 10 metadata of an event, and `map` has 11"],
  ]);
});

test("check compares with the workspace's attributes", async () => {
  const mock = await workspace();
  const contacts = await run(mock, { columns: { external_id: "text", seat: "bigint", seats: "boolean" } });
  expect((await check(contacts)).map(({ message }) => message)).toEqual([
    "Intercom contacts has no field `seat` (did you mean `seats`?).",
    "`seats` is of type boolean; Intercom contacts has a number there.",
  ]);
});

test("too many requests are waited for until the window's end, which Intercom tells as a time", async () => {
  const mock = await workspace();
  const contacts = await run(mock);
  mock.server.fail(() => tooMany(30));
  contacts.put({ external_id: "1", name: "one" });
  await expect.poll(() => contacts.gate.closedBy?.message).toBe("Intercom answered 429: rate_limit_exceeded");
  const { afterMs = 0 } = contacts.gate.closedBy!;
  expect(afterMs).toBeGreaterThan(25_000);
  expect(afterMs).toBeLessThanOrEqual(31_000);
});
