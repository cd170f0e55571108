// What is Meta's own; what every vendor's destination must do is in test/conformance/vendors/meta.test.ts.
import { createHash } from "node:crypto";
import { expect, onTestFinished, test } from "vitest";
import { neverAborted } from "../../../test/conformance/running.ts";
import { MetaMock } from "../../../test/mocks/meta/meta.ts";
import { faultsInTurn } from "../../../test/mocks/support/faults.ts";
import { VendorRun, type VendorRunOptions } from "../../../test/support/vendor-lane.ts";
import { Answer } from "../../kit/vendor/session.ts";
import { errors } from "./errors.ts";
import meta from "./index.ts";

async function mockMeta(): Promise<MetaMock> {
  const mock = await MetaMock.start("token-1");
  onTestFinished(() => mock[Symbol.asyncDispose]());
  return mock;
}

async function run(mock: MetaMock, options: Partial<VendorRunOptions> = {}): Promise<VendorRun> {
  const opened = await VendorRun.open({
    connector: meta,
    settings: { pixel_id: mock.pixelId, access_token: "token-1", base_url: mock.server.url, allow_private: true },
    object: "events",
    mode: "event",
    columns: { external_id: "text", em: "text" },
    options: { event: "Purchase", action_source: "email" },
    ...options,
  });
  onTestFinished(() => opened[Symbol.asyncDispose]());
  return opened;
}

const sha = (text: string): string => createHash("sha256").update(text).digest("hex");
const bodies = (mock: MetaMock) =>
  mock.server.requests.map(
    ({ body }) => JSON.parse(body) as { data: Record<string, unknown>[]; test_event_code?: string },
  );

test.each([
  ["em", " John_Smith@Gmail.com ", "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"],
  ["ph", "1(650)555-1212", "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"],
  ["fn", "Mary", "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec"],
  ["fn", "Valéry", "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c"],
])("%s of %j is hashed as in Meta's own examples", async (field, text, hashed) => {
  const mock = await mockMeta();
  const events = await run(mock, { columns: { id: "text", [field]: "text" } });
  events.put({ id: "1", [field]: text }, "insert");
  await events.finished();
  expect([events.rejected, bodies(mock)[0]?.data[0]?.["user_data"]]).toEqual([[], { [field]: [hashed] }]);
});

test.each([
  ["ph", "+44 (0)20 7946 0000", "4402079460000"],
  ["ph", "0049 30 123456", "4930123456"],
  ["ln", "O'Brien-Smith", "obriensmith"],
  ["ct", "São Paulo", "sãopaulo"],
  ["st", "CA.", "ca"],
  ["zp", "94025-1234", "94025"],
  ["zp", "SW1A 1AA", "sw1a1aa"],
  ["country", "US", "us"],
  ["db", "1997-02-16", "19970216"],
  ["db", "1997-02-16 00:00:00+00", "19970216"],
  ["ge", "Female", "f"],
  ["external_id", " User-1 ", "User-1"],
])("%s of %j is hashed as %j", async (field, text, normal) => {
  const mock = await mockMeta();
  const events = await run(mock, { columns: { id: "text", [field]: "text" } });
  events.put({ id: "1", [field]: text }, "insert");
  await events.finished();
  expect(bodies(mock)[0]?.data[0]?.["user_data"]).toEqual({ [field]: [sha(normal)] });
});

test("what is hashed already is not hashed again; lists are hashed one by one; what says nothing is left out", async () => {
  const mock = await mockMeta();
  const columns = { external_id: "text", em: "text[]", ph: "text", ge: "text", fbp: "text" };
  const events = await run(mock, { columns });
  const row = {
    external_id: sha("u1").toUpperCase(),
    em: "{A@b.co, ,c@d.co}",
    ph: "",
    ge: "unknown",
    fbp: "fb.1.2.3",
  };
  events.put(row, "insert");
  await events.finished();
  expect(events.rejected).toEqual([]);
  expect(bodies(mock)[0]?.data[0]?.["user_data"]).toEqual({
    external_id: [sha("u1")],
    em: [sha("a@b.co"), sha("c@d.co")],
    fbp: "fb.1.2.3",
  });
});

test("an event has the time of the change and the delivery's id, unless they are mapped", async () => {
  const mock = await mockMeta();
  const events = await run(mock, {
    columns: { external_id: "text", event_time: "timestamp with time zone", event_id: "text" },
  });
  events.put({ external_id: "1", event_time: null, event_id: null }, "insert");
  events.put({ external_id: "2", event_time: "2023-11-14 22:00:00.9+00", event_id: "checkout-2" }, "insert");
  await events.finished();
  const [first, second] = bodies(mock)[0]!.data;
  expect(first).toMatchObject({ event_time: 1_700_000_000, event_id: expect.stringMatching(/^[\w-]+$/) as unknown });
  expect(second).toMatchObject({ event_time: 1_699_999_200, event_id: "checkout-2" });
});

test("of a request with a wrong event the others are delivered, and that one is a failure with Meta's words", async () => {
  const mock = await mockMeta();
  const events = await run(mock, { columns: { external_id: "text", event_time: "timestamp with time zone" } });
  for (const id of ["1", "2", "3", "4", "5"])
    events.put({ external_id: id, event_time: id === "4" ? "2023-11-01 00:00:00+00" : null }, "insert");
  await events.finished();
  expect([events.delivered, events.rejected.map(({ key }) => key)]).toEqual([4, ["4"]]);
  expect(events.rejected[0]?.error.message).toContain("100/2804003");
  expect(events.rejected[0]?.error.answer).toContain("Event Timestamp Too Old");
});

test("what was taken, and its answer lost, is counted once", async () => {
  const mock = await mockMeta();
  mock.server.fail(faultsInTurn(["reset-after"]));
  const events = await run(mock);
  for (const id of ["1", "2"]) events.put({ external_id: id, em: null }, "insert");
  await events.finished();
  expect([events.delivered, mock.events.size, mock.server.requests.length]).toEqual([2, 2, 2]);
});

test("a count that is not of all events is no success", async () => {
  const mock = await mockMeta();
  mock.server.fail(faultsInTurn([{ status: 200, body: { events_received: 1, messages: [] } }]));
  const events = await run(mock);
  for (const id of ["1", "2"]) events.put({ external_id: id, em: null }, "insert");
  await events.finished();
  expect([events.delivered, mock.server.requests.length]).toEqual([2, 2]);
});

test("limits to the use of data are said of each event, or of every one", async () => {
  const mock = await mockMeta();
  const each = await run(mock, {
    columns: {
      external_id: "text",
      opt_out: "boolean",
      data_processing_options: "text[]",
      data_processing_options_country: "integer",
    },
  });
  each.put(
    { external_id: "1", opt_out: "true", data_processing_options: "{LDU}", data_processing_options_country: "1" },
    "insert",
  );
  each.put(
    { external_id: "2", opt_out: null, data_processing_options: "{}", data_processing_options_country: "0" },
    "insert",
  );
  await each.finished();
  const every = await run(mock, {
    options: { event: "Lead", action_source: "chat", limited_data_use: { country: 1, state: 1000 } },
  });
  every.put({ external_id: "3", em: null }, "insert");
  await every.finished();
  expect(bodies(mock).flatMap(({ data }) => data)).toMatchObject([
    { opt_out: true, data_processing_options: ["LDU"], data_processing_options_country: 1 },
    { data_processing_options: [], data_processing_options_country: 0 },
    {
      event_name: "Lead",
      data_processing_options: ["LDU"],
      data_processing_options_country: 1,
      data_processing_options_state: 1000,
    },
  ]);
});

test("test events are sent with their code, and are not counted", async () => {
  const mock = await mockMeta();
  const events = await run(mock, { options: { event: "Lead", action_source: "chat", test_event_code: "TEST1" } });
  events.put({ external_id: "1", em: null }, "insert");
  await events.finished();
  expect([events.delivered, mock.events.size, mock.testEvents]).toEqual([1, 0, 1]);
});

test("a pixel that the token may not write to stops the sync, and rejects no row", async () => {
  const mock = await mockMeta();
  const settings = { pixel_id: "99", access_token: "token-1", base_url: mock.server.url, allow_private: true };
  const events = await run(mock, { settings });
  events.put({ external_id: "1", em: null }, "insert");
  await events.finished();
  expect([events.stops.map(({ code }) => code), events.rejected, events.left]).toEqual([["destination.config"], [], 1]);
});

test.each([
  [
    "x-business-use-case-usage",
    `{"1":[{"estimated_time_to_regain_access":0},{"estimated_time_to_regain_access":7}]}`,
    420_000,
  ],
  ["x-ad-account-usage", `{"acc_id_util_pct":100,"reset_time_duration":30}`, 30_000],
  ["x-app-usage", `{"call_count":100}`, undefined],
  ["x-ad-account-usage", "not JSON", undefined],
])("of %s %j a throttled request knows its pause", (name, usage, ms) => {
  const answer = new Answer({ status: 400, headers: { [name]: usage }, body: "", truncated: false });
  expect(errors.afterMs!(answer, ["80004"])).toBe(ms);
  expect(errors.afterMs!(answer, ["100"])).toBeUndefined();
});

test("check asks for a name and a source of events, and knows no field but Meta's and those of custom_data", async () => {
  const mock = await mockMeta();
  const events = await run(mock, { options: {}, columns: { email: "text", "custom_data.value": "numeric" } });
  const findings = await events.destination.check([events.target], neverAborted());
  expect(findings.map(({ code, message }) => `${code} ${/`\w+`/.exec(message)?.[0]}`)).toEqual([
    "meta.unknown_field `email`",
    "meta.missing_field `event_name`",
    "meta.missing_field `action_source`",
  ]);
});
