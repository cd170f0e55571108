// What is Slack's own; what every vendor's destination must do is in test/conformance/vendors/slack.test.ts.
import { expect, onTestFinished, test } from "vitest";
import { neverAborted } from "../../../test/conformance/running.ts";
import { SlackMock, failure } from "../../../test/mocks/slack/slack.ts";
import { faultsInTurn } from "../../../test/mocks/support/faults.ts";
import { VendorRun, type VendorRunOptions } from "../../../test/support/vendor-lane.ts";
import slack from "./index.ts";

async function mockSlack(): Promise<SlackMock> {
  const mock = await SlackMock.start("xoxb-1");
  onTestFinished(() => mock[Symbol.asyncDispose]());
  return mock;
}

async function run(mock: SlackMock, options: Partial<VendorRunOptions> = {}): Promise<VendorRun> {
  const opened = await VendorRun.open({
    connector: slack,
    settings: { token: "xoxb-1", base_url: mock.server.url, allow_private: true },
    object: null,
    mode: "event",
    columns: { channel: "text", text: "text" },
    ...options,
  });
  onTestFinished(() => opened[Symbol.asyncDispose]());
  return opened;
}

const DIGEST = { columns: { text: "text" }, options: { channel: "C00000001", digest: { title: "*New*", rows: 3 } } };

test("a digest is one message for the rows of a batch, a line each", async () => {
  const mock = await mockSlack();
  const digest = await run(mock, DIGEST);
  for (const text of ["one", "two & three", "four", "five"]) digest.put({ text }, "insert");
  await digest.finished();
  expect(mock.messages.map(({ channel, text }) => [channel, text])).toEqual([
    ["C00000001", "*New*\none\ntwo &amp; three\nfour"],
    ["C00000001", "*New*\nfive"],
  ]);
});

test("a digest that Slack would cut off is split", async () => {
  const mock = await mockSlack();
  const digest = await run(mock, DIGEST);
  const texts = ["a", "b", "c"].map((letter) => letter.repeat(15_000));
  for (const text of texts) digest.put({ text }, "insert");
  await digest.finished();
  expect([digest.delivered, digest.rejected]).toEqual([3, []]);
  expect(
    mock.messages
      .flatMap(({ text }) => text.split("\n"))
      .filter((line) => line !== "*New*")
      .sort(),
  ).toEqual(texts);
});

test("a column's text calls nobody, and is shown as it is", async () => {
  const mock = await mockSlack();
  const messages = await run(mock);
  messages.put({ channel: "C00000001", text: "<!channel> & <@U1>" }, "insert");
  await messages.finished();
  expect(mock.messages[0]?.text).toBe("&lt;!channel&gt; &amp; &lt;@U1&gt;");
});

test("a channel that is not there is the row's failure when the row names it, and stops the sync when the sync does", async () => {
  const mock = await mockSlack();
  mock.archived.add("C00000009");
  const byRow = await run(mock);
  byRow.put({ channel: "C00000009", text: "one" }, "insert");
  byRow.put({ channel: "C00000001", text: "two" }, "insert");
  await byRow.finished();
  expect([byRow.delivered, byRow.stops]).toEqual([1, []]);
  expect(byRow.rejected.map(({ error }) => error.message)).toEqual(["Slack answered 200: is_archived"]);
  for (const options of [{ channel: "C00000009" }, { channel: "C00000009", digest: {} }]) {
    const ofTheSync = await run(mock, { columns: { text: "text" }, options });
    ofTheSync.put({ text: "one" }, "insert");
    await ofTheSync.finished();
    expect(ofTheSync.rejected).toEqual([]);
    expect(ofTheSync.stops.map(({ code, message }) => [code, message])).toEqual([
      ["destination.config", "Slack answered 200: is_archived"],
    ]);
  }
});

test("what Slack names for what is wrong with itself is sent again", async () => {
  const mock = await mockSlack();
  mock.server.fail(faultsInTurn([failure("internal_error"), failure("ratelimited")]));
  const messages = await run(mock);
  messages.put({ channel: "C00000001", text: "one" }, "insert");
  await messages.finished();
  expect([messages.delivered, messages.rejected, messages.stops]).toEqual([1, [], []]);
});

test("what is not known of Slack's errors stops the sync, and rejects no row", async () => {
  const mock = await mockSlack();
  mock.server.fail(() => failure("something_new"));
  const messages = await run(mock);
  messages.put({ channel: "C00000001", text: "one" }, "insert");
  await messages.finished();
  expect(messages.stops.map(({ code, answer }) => [code, answer?.includes("something_new")])).toEqual([
    ["destination.config", true],
  ]);
});

test("check names what a message cannot be made of", async () => {
  const mock = await mockSlack();
  const checked = async (options: Partial<VendorRunOptions>): Promise<string[]> => {
    const opened = await run(mock, options);
    return (await opened.destination.check([opened.target], neverAborted())).map(({ message }) => message);
  };
  expect(await checked({ columns: { text: "text" } })).toEqual([
    "Slack messages needs `channel`, which is not mapped.",
  ]);
  expect(await checked({ options: { channel: "C00000001" } })).toEqual(["Slack messages has no field `channel`."]);
  expect(await checked({ ...DIGEST, columns: { text: "text", blocks: "jsonb" } })).toEqual([
    "Slack messages has no field `blocks`.",
  ]);
  await expect(run(mock, { mode: "upsert" })).rejects.toThrow(
    "Slack messages: mode `upsert` is not possible; it can do event, insert",
  );
  expect(slack.sync.safeParse({ digest: {} }).success).toBe(false);
});
