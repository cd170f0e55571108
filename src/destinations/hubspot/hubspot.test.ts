// What is HubSpot's own; what every vendor's destination must do is in test/conformance/vendors/hubspot.test.ts.
import { expect, onTestFinished, test } from "vitest";
import { neverAborted } from "../../../test/conformance/running.ts";
import { HubSpotMock, type Properties, tooMany } from "../../../test/mocks/hubspot/hubspot.ts";
import { faultsInTurn } from "../../../test/mocks/support/faults.ts";
import { VendorRun, type VendorRunOptions } from "../../../test/support/vendor-lane.ts";
import hubspot from "./index.ts";

const TEXT = { type: "string" } as const;
const SCHEMAS: Readonly<Record<string, Properties>> = {
  contacts: {
    email: { type: "string", unique: true },
    firstname: TEXT,
    plan: { type: "enumeration", options: ["free", "pro"] },
  },
  companies: { domain: { type: "string", unique: true }, name: TEXT },
};

async function mockHubSpot(): Promise<HubSpotMock> {
  const mock = await HubSpotMock.start("pat-1", SCHEMAS);
  onTestFinished(() => mock[Symbol.asyncDispose]());
  return mock;
}

async function run(mock: HubSpotMock, options: Partial<VendorRunOptions> = {}): Promise<VendorRun> {
  const opened = await VendorRun.open({
    connector: hubspot,
    settings: { token: "pat-1", base_url: mock.server.url, allow_private: true },
    object: "contacts",
    mode: "mirror",
    onDelete: { kind: "delete" },
    columns: { email: "text", firstname: "text" },
    ...options,
  });
  onTestFinished(() => opened[Symbol.asyncDispose]());
  return opened;
}

const paths = (mock: HubSpotMock): string[] =>
  mock.server.requests.map(({ url }) => url.replace("/crm/v3/objects/", ""));

test("a batch is one request; what is removed is looked up once, and archived together", async () => {
  const mock = await mockHubSpot();
  const contacts = await run(mock);
  const rows = Array.from({ length: 250 }, (_, n) => ({ email: `u${n}@example.com`, firstname: `n${n}` }));
  for (const row of rows) contacts.put(row);
  await contacts.finished();
  expect(paths(mock)).toEqual(Array.from({ length: 3 }, () => "contacts/batch/upsert"));
  for (const row of rows.slice(0, 50)) contacts.gone(row);
  await contacts.finished();
  expect(paths(mock).slice(3)).toEqual(["contacts/batch/read", "contacts/batch/archive"]);
  expect(mock.records("contacts")).toHaveLength(200);
});

test("contacts are associated with companies by their domain; one whose company is not there yet is tried again", async () => {
  const mock = await mockHubSpot();
  const companies = await run(mock, { object: "companies", columns: { domain: "text", name: "text" } });
  companies.put({ domain: "a.example", name: "A" });
  await companies.finished();
  const contacts = await run(mock, {
    columns: { email: "text", firstname: "text", company: "text" },
    options: { associate: [{ to: "companies", by: "domain", field: "company" }] },
  });
  const check = await contacts.destination.check(
    [{ ...contacts.target, options: contacts.target.options }],
    neverAborted(),
  );
  expect(check).toEqual([]);
  contacts.put({ email: "1@example.com", firstname: "one", company: "a.example" });
  contacts.put({ email: "2@example.com", firstname: "two", company: null });
  contacts.put({ email: "3@example.com", firstname: "three", company: "b.example" });
  await expect.poll(() => contacts.delivered).toBe(2);
  expect(contacts.left).toBe(1);
  expect(mock.records("contacts").find(({ properties }) => "company" in properties)).toBeUndefined();
  companies.put({ domain: "b.example", name: "B" });
  await contacts.finished();
  expect(contacts.rejected).toEqual([]);
  const idOf = (object: string, text: string): string =>
    mock.records(object).find(({ properties }) => Object.values(properties).includes(text))!.id;
  expect([...mock.associations].sort()).toEqual(
    [
      ["1@example.com", "a.example"],
      ["3@example.com", "b.example"],
    ]
      .map(([email, domain]) => `contacts:${idOf("contacts", email!)} → companies:${idOf("companies", domain!)}`)
      .sort(),
  );
});

test("a property that is not there stops the sync, and rejects no row", async () => {
  const mock = await mockHubSpot();
  const contacts = await run(mock, { columns: { email: "text", nickname: "text" } });
  contacts.put({ email: "1@example.com", nickname: "one" });
  await contacts.finished();
  expect(contacts.stops.map(({ code, message }) => [code, message])).toEqual([
    ["destination.config", "HubSpot answered 400: PROPERTY_DOESNT_EXIST"],
  ]);
  expect(contacts.rejected).toEqual([]);
});

test("addresses that differ in case are one contact: the batch is refused, and halved until they are apart", async () => {
  const mock = await mockHubSpot();
  const contacts = await run(mock);
  for (const email of ["a@example.com", "B@example.com", "b@example.com", "c@example.com"])
    contacts.put({ email, firstname: "x" });
  await contacts.finished();
  expect([contacts.delivered, contacts.rejected]).toEqual([4, []]);
  expect(
    mock
      .records("contacts")
      .map(({ properties }) => properties["email"] ?? "")
      .sort(),
  ).toEqual(["a@example.com", "b@example.com", "c@example.com"]);
});

test("each row of a partial answer is told why", async () => {
  const mock = await mockHubSpot();
  const contacts = await run(mock, { columns: { email: "text", firstname: "text", plan: "text" } });
  contacts.put({ email: "1@example.com", plan: "pro" });
  contacts.put({ email: "nobody", plan: "pro" });
  contacts.put({ email: "3@example.com", plan: "gold" });
  await contacts.finished();
  expect(paths(mock)).toHaveLength(1);
  expect(contacts.rejected.map(({ key, error }) => [key, error.message])).toEqual([
    ["nobody", "HubSpot refused this row: INVALID_EMAIL"],
    ["3@example.com", "HubSpot refused this row: INVALID_OPTION"],
  ]);
  expect(contacts.rejected[0]?.error.answer).toContain("INVALID_EMAIL");
  expect(contacts.rejected.map(({ error }) => error.answer).join()).not.toMatch(/nobody|gold/);
});

test("an error that cannot be told whose it is leaves the rows that are not named to be sent again", async () => {
  const mock = await mockHubSpot();
  const contacts = await run(mock);
  const error = {
    status: "error",
    category: "VALIDATION_ERROR",
    message: "one of them",
    context: {},
    errors: [],
    links: {},
  };
  const result = { id: "1", properties: {}, objectWriteTraceId: "0" };
  mock.server.fail(faultsInTurn([{ status: 207, body: { status: "COMPLETE", results: [result], errors: [error] } }]));
  for (const n of [1, 2, 3]) contacts.put({ email: `${n}@example.com`, firstname: "x" });
  await contacts.finished();
  expect([contacts.delivered, contacts.rejected]).toEqual([3, []]);
  expect(mock.server.requests.map(({ body }) => (JSON.parse(body) as { inputs: unknown[] }).inputs.length)).toEqual([
    3, 2,
  ]);
});

test("a daily limit that is used up is waited for", async () => {
  const mock = await mockHubSpot();
  const contacts = await run(mock);
  mock.server.fail(() => tooMany("DAILY"));
  contacts.put({ email: "1@example.com", firstname: "x" });
  await expect.poll(() => contacts.gate.closedBy?.message).toBe("HubSpot answered 429: DAILY");
  expect(contacts.gate.closedBy?.afterMs).toBe(900_000);
});

test("records are found by HubSpot's own id, and never made by it", async () => {
  const mock = await mockHubSpot();
  const contacts = await run(mock);
  contacts.put({ email: "1@example.com", firstname: "x" });
  await contacts.finished();
  const [{ id } = { id: "" }] = mock.records("contacts");
  const byId = await run(mock, { mode: "upsert", columns: { hs_object_id: "bigint", firstname: "text" } });
  expect(await byId.destination.check([byId.target], neverAborted())).toEqual([]);
  byId.put({ hs_object_id: id, firstname: "y" });
  await byId.finished();
  expect(byId.rejected).toEqual([]);
  expect(mock.records("contacts").map(({ properties }) => properties["firstname"])).toEqual(["y"]);
});

test("an app's access token is renewed when it has come to its end", async () => {
  const mock = await mockHubSpot();
  let tokens = 0;
  mock.server.fail(({ path }) => {
    if (path.join("/") !== "oauth/v1/token") return null;
    tokens += 1;
    mock.token = `access-${tokens}`;
    return { status: 200, body: { access_token: mock.token, refresh_token: "r", expires_in: 1800 } };
  });
  const oauth = { client_id: "app", client_secret: "s", refresh_token: "r" };
  const contacts = await run(mock, { settings: { oauth, base_url: mock.server.url, allow_private: true } });
  contacts.put({ email: "1@example.com", firstname: "x" });
  await contacts.finished();
  mock.token = "access-0";
  contacts.put({ email: "2@example.com", firstname: "x" });
  await contacts.finished();
  expect([tokens, contacts.delivered, contacts.rejected]).toEqual([2, 2, []]);
});

test("check names what does not fit the account's properties", async () => {
  const mock = await mockHubSpot();
  const contacts = await run(mock, { columns: { email: "text", firstnam: "text", plan: "jsonb" } });
  const findings = await contacts.destination.check([contacts.target], neverAborted());
  expect(findings.map(({ code, message }) => [code, message])).toEqual([
    ["hubspot.unknown_field", "HubSpot contacts has no field `firstnam` (did you mean `firstname`?)."],
    ["hubspot.wrong_type", "`plan` is of type jsonb; HubSpot contacts has one of a list of options there."],
  ]);
  const byName = await run(mock, { columns: { firstname: "text", email: "text" } });
  expect((await byName.destination.check([byName.target], neverAborted())).map(({ code }) => code)).toEqual([
    "hubspot.match",
  ]);
});
