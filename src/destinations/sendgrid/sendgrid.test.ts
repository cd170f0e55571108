// What is SendGrid's own; what every vendor's destination must do is in test/conformance/vendors/sendgrid.test.ts.
import { expect, onTestFinished, test } from "vitest";
import { neverAborted } from "../../../test/conformance/running.ts";
import { SendGridMock } from "../../../test/mocks/sendgrid/sendgrid.ts";
import { VendorRun, type VendorRunOptions } from "../../../test/support/vendor-lane.ts";
import sendgrid from "./index.ts";

const FROM = { email: "hello@example.com", name: "Hello" };
const TEMPLATE = "d-0123456789abcdef";

async function mockSendGrid(): Promise<SendGridMock> {
  const mock = await SendGridMock.start("SG.1");
  onTestFinished(() => mock[Symbol.asyncDispose]());
  return mock;
}

async function run(mock: SendGridMock, options: Partial<VendorRunOptions> = {}): Promise<VendorRun> {
  const opened = await VendorRun.open({
    connector: sendgrid,
    settings: { api_key: "SG.1", base_url: mock.server.url, allow_private: true },
    object: null,
    mode: "event",
    columns: { email: "text", plan: "text" },
    options: { from: FROM, template: TEMPLATE },
    ...options,
  });
  onTestFinished(() => opened[Symbol.asyncDispose]());
  return opened;
}

test("mails of one template are one request, each with the delivery's id", async () => {
  const mock = await mockSendGrid();
  const options = { from: FROM, template: TEMPLATE, categories: ["onboarding"], unsubscribe_group: 7 };
  const mails = await run(mock, { options });
  for (let n = 0; n < 1200; n++) mails.put({ email: `u${n}@example.com`, plan: n % 2 === 0 ? null : "pro" }, "insert");
  await mails.finished();
  expect([mails.delivered, mails.rejected, mock.server.requests.length]).toEqual([1200, [], 2]);
  expect(mock.mails[0]).toEqual({
    to: "u0@example.com",
    name: null,
    from: "hello@example.com",
    template: TEMPLATE,
    subject: null,
    content: {},
    data: { plan: null },
    args: { tailrace_id: "vendor_sync-p-00000001" },
    categories: ["onboarding"],
  });
  expect(new Set(mock.mails.map(({ args }) => args["tailrace_id"])).size).toBe(1200);
});

test("a bad address among others is found, and only it is rejected", async () => {
  const mock = await mockSendGrid();
  const mails = await run(mock);
  for (let n = 0; n < 50; n++) mails.put({ email: n === 31 ? "nobody" : `u${n}@example.com`, plan: "x" }, "insert");
  await mails.finished();
  expect(mails.rejected.map(({ key, error }) => [key, error.message])).toEqual([["nobody", "SendGrid answered 400"]]);
  expect(mails.rejected[0]?.error.answer).toContain("valid address");
  expect(mock.mails.map(({ to }) => to).sort()).toHaveLength(49);
});

test("two mails to one recipient are sent in two requests", async () => {
  const mock = await mockSendGrid();
  const mails = await run(mock, { columns: { id: "text", email: "text" } });
  for (const id of ["1", "2", "3"]) mails.put({ id, email: id === "2" ? "B@example.com" : "b@example.com" }, "insert");
  await mails.finished();
  expect([mails.delivered, mails.rejected, mock.mails.length]).toEqual([3, [], 3]);
});

test("the template of each row, or its own text, is a request of its own", async () => {
  const mock = await mockSendGrid();
  const byRow = await run(mock, {
    columns: { email: "text", template_id: "text", plan: "text" },
    options: { from: FROM },
  });
  byRow.put({ email: "a@example.com", template_id: "d-aa", plan: "pro" }, "insert");
  await byRow.finished();
  byRow.put({ email: "b@example.com", template_id: "d-bb", plan: "free" }, "insert");
  byRow.put({ email: "c@example.com", template_id: "none", plan: "free" }, "insert");
  await byRow.finished();
  expect(byRow.rejected.map(({ key }) => key)).toEqual(["c@example.com"]);
  const columns = { email: "text", subject: "text", text: "text", html: "text" };
  const plain = await run(mock, { columns, options: { from: FROM } });
  plain.put({ email: "d@example.com", subject: "Hello", text: 'say "no"\n', html: null }, "insert");
  plain.put({ email: "e@example.com", subject: null, text: "x", html: null }, "insert");
  await plain.finished();
  expect(plain.rejected.map(({ key }) => key)).toEqual(["e@example.com"]);
  const shown = mock.mails.map(({ to, template, subject, data, content }) => [
    to,
    template ?? subject,
    { ...data, ...content },
  ]);
  expect(shown).toEqual([
    ["a@example.com", "d-aa", { plan: "pro" }],
    ["b@example.com", "d-bb", { plan: "free" }],
    ["d@example.com", "Hello", { "text/plain": 'say "no"\n' }],
  ]);
});

test("a sender that is not verified stops the sync, and rejects no row", async () => {
  const mock = await mockSendGrid();
  const mails = await run(mock, { options: { from: { email: "other@example.com" }, template: TEMPLATE } });
  mails.put({ email: "a@example.com", plan: "x" }, "insert");
  await mails.finished();
  expect(mails.rejected).toEqual([]);
  expect(mails.stops.map(({ code, message }) => [code, message])).toEqual([
    ["destination.config", "SendGrid answered 403: from"],
  ]);
});

test("in the sandbox nothing is sent", async () => {
  const mock = await mockSendGrid();
  const mails = await run(mock, { options: { from: FROM, template: TEMPLATE, sandbox: true } });
  mails.put({ email: "a@example.com", plan: "x" }, "insert");
  await mails.finished();
  expect([mails.delivered, mock.mails]).toEqual([1, []]);
});

test("check says what a mail lacks", async () => {
  const mock = await mockSendGrid();
  const checked = async (options: Partial<VendorRunOptions>): Promise<string[]> => {
    const opened = await run(mock, options);
    return (await opened.destination.check([opened.target], neverAborted())).map(({ message }) => message);
  };
  expect(await checked({ columns: { plan: "text" } })).toEqual(["SendGrid mails needs `email`, which is not mapped."]);
  expect(await checked({ options: { from: FROM } })).toEqual([
    "A mail needs `options.template`, or a field `template_id`, `text` or `html`",
  ]);
  expect(await checked({ options: { from: FROM }, columns: { email: "text", text: "text", plan: "text" } })).toEqual([
    "SendGrid mails has no field `plan`.",
    "SendGrid mails needs `subject`, which is not mapped.",
  ]);
  await expect(run(mock, { mode: "upsert" })).rejects.toThrow("mode `upsert` is not possible");
});
