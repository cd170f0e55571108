// What is Zendesk's own; what every vendor's destination must do is in test/conformance/vendors/zendesk.test.ts.
import { expect, onTestFinished, test } from "vitest";
import { neverAborted } from "../../../test/conformance/running.ts";
import { faultsInTurn } from "../../../test/mocks/support/faults.ts";
import { ZendeskMock } from "../../../test/mocks/zendesk/zendesk.ts";
import { VendorRun, type VendorRunOptions, testMemory } from "../../../test/support/vendor-lane.ts";
import zendesk from "./index.ts";

const OWN = {
  "user_fields.plan": { type: "dropdown", options: ["free", "pro"] },
  "user_fields.tools": { type: "multiselect" },
  "custom_fields.17": { type: "text" },
  "custom_fields.18": { type: "checkbox" },
} as const;

async function mockZendesk(): Promise<ZendeskMock> {
  const mock = await ZendeskMock.start("token-1", OWN);
  onTestFinished(() => mock[Symbol.asyncDispose]());
  return mock;
}

async function run(mock: ZendeskMock, options: Partial<VendorRunOptions> = {}): Promise<VendorRun> {
  const opened = await VendorRun.open({
    connector: zendesk,
    settings: settings(mock, { email: "admin@acme.example", api_token: "token-1" }),
    object: "users",
    mode: "mirror",
    onDelete: { kind: "delete" },
    columns: { external_id: "bigint", name: "text" },
    ...options,
  });
  onTestFinished(() => opened[Symbol.asyncDispose]());
  return opened;
}

const settings = (mock: ZendeskMock, auth: object) => ({
  subdomain: "acme",
  ...auth,
  base_url: mock.server.url,
  allow_private: true,
});
const asked = (mock: ZendeskMock): string[] =>
  mock.server.requests
    .filter(({ url }) => !url.includes("job_statuses"))
    .map(({ method, url }) => `${method} ${url.replace("/api/v2/", "").split("?")[0]}`);
const users = (mock: ZendeskMock) => [...mock.records.users.values()];
const check = async (of: VendorRun): Promise<string[]> =>
  (await of.destination.check([of.target], neverAborted())).map(
    ({ level, code, message }) => `${level} ${code} ${message}`,
  );

test("100 users a job; what is removed is looked up once, and deleted together", async () => {
  const mock = await mockZendesk();
  const synced = await run(mock);
  const rows = Array.from({ length: 150 }, (_, n) => ({ external_id: `${n}`, name: `n${n}` }));
  for (const row of rows) synced.put(row);
  await synced.finished();
  expect(asked(mock)).toEqual(["POST users/create_or_update_many", "POST users/create_or_update_many"]);
  for (const row of rows.slice(0, 60)) synced.gone(row);
  await synced.finished();
  expect(asked(mock).slice(2)).toEqual(["GET users/show_many", "DELETE users/destroy_many"]);
  expect([users(mock).length, synced.rejected]).toEqual([90, []]);
});

test("what is gone already is deleted, and not asked to be", async () => {
  const mock = await mockZendesk();
  const synced = await run(mock);
  synced.gone({ external_id: "1", name: "n" });
  await synced.finished();
  expect([synced.delivered, asked(mock)]).toEqual([1, ["GET users/show_many"]]);
});

test("a row that a job refuses without saying which is found by halves, and only it is refused", async () => {
  const mock = await mockZendesk();
  const synced = await run(mock, { columns: { external_id: "text", name: "text", email: "text" } });
  for (const n of [1, 2, 3, 4])
    synced.put({ external_id: `${n}`, name: "x", email: n === 3 ? "no-address" : `${n}@b.example` });
  await synced.finished();
  expect(synced.rejected.map(({ key, error }) => [key, error.message])).toEqual([
    ["3", "Zendesk refused this row: UserCreateError"],
  ]);
  expect(synced.rejected[0]?.error.answer).toContain("is not properly formatted");
  expect(synced.rejected[0]?.error.answer).not.toContain("no-address");
  expect([synced.delivered, users(mock).length]).toEqual([3, 3]);
});

test("rows whose external_id differs in case are one user: the later waits for the earlier", async () => {
  const mock = await mockZendesk();
  const synced = await run(mock, { columns: { external_id: "text", name: "text" } });
  for (const external_id of ["a", "B", "b"]) synced.put({ external_id, name: external_id });
  await synced.finished();
  expect([synced.delivered, synced.rejected]).toEqual([3, []]);
  expect(new Set(users(mock).map(({ name }) => name))).toEqual(new Set(["a", "b"]));
});

test("own fields are written by their key, a list as one, and a null empties what can be empty", async () => {
  const mock = await mockZendesk();
  const synced = await run(mock, {
    columns: {
      external_id: "text",
      name: "text",
      email: "text",
      tags: "text[]",
      "user_fields.plan": "text",
      "user_fields.tools": "text[]",
    },
  });
  expect((await check(synced)).filter((finding) => !finding.startsWith("info"))).toEqual([]);
  const row = {
    external_id: "1",
    name: "x",
    email: "a@b.example",
    tags: "{a,b}",
    "user_fields.plan": "pro",
    "user_fields.tools": "{c}",
  };
  synced.put(row);
  await synced.finished();
  expect(users(mock)).toEqual([{ ...row, tags: '["a","b"]', "user_fields.tools": '["c"]' }]);
  synced.put({ ...row, name: null, email: null, tags: null, "user_fields.plan": null, "user_fields.tools": null });
  await synced.finished();
  expect(users(mock)).toEqual([{ ...row, tags: null, "user_fields.plan": null, "user_fields.tools": null }]);
  expect(synced.rejected).toEqual([]);
});

test("a key with a comma, which no list can have, is looked up alone", async () => {
  const mock = await mockZendesk();
  const synced = await run(mock, { columns: { external_id: "text", name: "text" } });
  for (const external_id of ["a,b", "a", "b"]) synced.put({ external_id, name: "x" });
  await synced.finished();
  synced.gone({ external_id: "a,b", name: "x" });
  await synced.finished();
  expect(new Set(users(mock).map(({ external_id }) => external_id))).toEqual(new Set(["a", "b"]));
});

test("users are matched by address where nothing hangs on their not being there", async () => {
  const mock = await mockZendesk();
  const columns = { email: "text", name: "text" };
  const synced = await run(mock, { mode: "upsert", columns });
  expect((await check(synced)).filter((finding) => finding.startsWith("error"))).toEqual([]);
  for (const name of ["one", "two"]) {
    synced.put({ email: "a@b.example", name });
    await synced.finished();
  }
  expect(users(mock)).toEqual([{ email: "a@b.example", name: "two" }]);
  await expect(run(mock, { mode: "update", columns })).rejects.toThrow("`match: email` can only create and update");
  await expect(run(mock, { columns })).rejects.toThrow("`match: email` can only create and update");
});

test("tickets are created with their first comment, and changed by their id or an external_id of one alone", async () => {
  const mock = await mockZendesk();
  const columns = {
    external_id: "text",
    subject: "text",
    "comment.body": "text",
    "custom_fields.17": "text",
    "custom_fields.18": "boolean",
  };
  const created = await run(mock, { object: "tickets", mode: "insert", columns });
  expect((await check(created)).filter((finding) => finding.startsWith("error"))).toEqual([]);
  for (const n of ["1", "2", "2"]) {
    created.put({
      external_id: n,
      subject: `s${n}`,
      "comment.body": "help",
      "custom_fields.17": "x",
      "custom_fields.18": "true",
    });
    await created.finished();
  }
  created.put({
    external_id: "4",
    subject: "s4",
    "comment.body": null,
    "custom_fields.17": null,
    "custom_fields.18": null,
  });
  await created.finished();
  expect(created.rejected.map(({ key }) => key)).toEqual(["4"]);
  expect(mock.comments).toEqual(["help", "help", "help"]);
  const changed = await run(mock, {
    object: "tickets",
    mode: "update",
    columns: { external_id: "text", subject: "text" },
  });
  for (const external_id of ["1", "2", "3"]) changed.put({ external_id, subject: "new" });
  await changed.finished();
  expect(changed.rejected.map(({ key }) => key)).toEqual(["2"]);
  const [first] = mock.records.tickets.keys();
  const byId = await run(mock, {
    object: "tickets",
    mode: "update",
    columns: { id: "bigint", "custom_fields.17": "text" },
  });
  byId.put({ id: first!, "custom_fields.17": null });
  byId.put({ id: `${first},"subject":"x"`, "custom_fields.17": "x" });
  await byId.finished();
  expect(byId.rejected.map(({ error }) => error.message)).toEqual(["Zendesk refused this row: RecordInvalid"]);
  expect(mock.records.tickets.get(first!)).toEqual({
    external_id: "1",
    subject: "new",
    "custom_fields.17": null,
    "custom_fields.18": "true",
  });
});

test("a job that was on its way at a kill is waited for, before anything newer is sent", async () => {
  const mock = await mockZendesk();
  const memory = testMemory();
  mock.server.hold();
  mock.server.fail(({ method }) => (method === "GET" ? "hang" : null));
  const killed = await run(mock, { memory });
  for (const n of [1, 2]) killed.put({ external_id: `${n}`, name: "old" }, "insert", n);
  await expect.poll(() => mock.server.requests.length).toBe(2);
  await killed[Symbol.asyncDispose]();
  expect(memory.text).not.toBeNull();
  mock.server.fail(() => null);
  mock.server.release();
  const again = await run(mock, { memory });
  again.gone({ external_id: "1", name: "old" });
  await again.finished();
  expect([mock.jobs.length, users(mock).map(({ external_id }) => external_id)]).toEqual([2, ["2"]]);
});

test("a job that Zendesk has forgotten is sent again", async () => {
  const mock = await mockZendesk();
  const synced = await run(mock);
  mock.server.fail(
    faultsInTurn([{ status: 404, body: { error: "RecordNotFound" } }], ({ method }) => method === "GET"),
  );
  synced.put({ external_id: "1", name: "x" });
  await synced.finished();
  expect([mock.jobs.length, synced.delivered, users(mock).length]).toEqual([2, 1, 1]);
});

test.each([
  [{ status: 429, body: { error: "TooManyJobs" } }, "Zendesk answered 429: TooManyJobs", 5000],
  [{ status: 429, headers: { "ratelimit-reset": "41" }, body: "" }, "Zendesk answered 429", 41_000],
  [{ status: 429, headers: { "retry-after": "7", "ratelimit-reset": "41" }, body: "" }, "Zendesk answered 429", 7000],
])("a limit is waited for: %j", async (answer, message, afterMs) => {
  const mock = await mockZendesk();
  const synced = await run(mock);
  mock.server.fail(() => answer);
  synced.put({ external_id: "1", name: "x" });
  await expect.poll(() => synced.gate.closedBy?.message).toBe(message);
  expect(synced.gate.closedBy?.afterMs).toBe(afterMs);
});

test("one signs in with a token of OAuth too, or with a client that asks for them", async () => {
  const mock = await mockZendesk();
  for (const auth of [{ access_token: "token-1" }, { oauth: { client_id: "app", client_secret: "token-1" } }])
    expect(
      (await check(await run(mock, { settings: settings(mock, auth) }))).filter((found) => found.startsWith("error")),
    ).toEqual([]);
  mock.server.fail(() => ({ status: 200, body: { user: { id: null, name: "Anonymous user" } } }));
  expect(await check(await run(mock))).toEqual(["error destination.auth Zendesk does not know these credentials"]);
  const ways = [
    {},
    { api_token: "t" },
    { access_token: "t", email: "a@b.example" },
    { access_token: "t", api_token: "t", email: "a@b.example" },
  ];
  expect(ways.filter((way) => zendesk.settings.safeParse({ subdomain: "acme", ...way }).success)).toEqual([]);
});

test("check names what Zendesk would silently ignore, and what it needs", async () => {
  const mock = await mockZendesk();
  expect(
    await check(await run(mock, { columns: { external_id: "text", fullname: "text", "user_fields.plna": "text" } })),
  ).toEqual([
    expect.stringContaining("error zendesk.unknown_field Zendesk users has no field `fullname`"),
    "error zendesk.unknown_field Zendesk users has no field `user_fields.plna` (did you mean `user_fields.plan`?).",
    "error zendesk.missing_field Zendesk users needs `name`, which is not mapped.",
  ]);
  expect(await check(await run(mock, { columns: { name: "text", external_id: "text" } }))).toContainEqual(
    expect.stringContaining("error zendesk.match Zendesk users finds no record by `name`"),
  );
});
