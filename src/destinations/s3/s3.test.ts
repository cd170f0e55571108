// What is S3's own; what every vendor's destination must do is in test/conformance/vendors/s3.test.ts.
import { expect, onTestFinished, test } from "vitest";
import { neverAborted } from "../../../test/conformance/running.ts";
import { S3Mock, s3Error } from "../../../test/mocks/s3/s3.ts";
import { faultsInTurn } from "../../../test/mocks/support/faults.ts";
import { VendorRun, type VendorRunOptions } from "../../../test/support/vendor-lane.ts";
import s3 from "./index.ts";
import { originOf } from "./objects.ts";
import { settings } from "./settings.ts";

async function mockS3(): Promise<S3Mock> {
  const mock = await S3Mock.start("secret-1");
  onTestFinished(() => mock[Symbol.asyncDispose]());
  return mock;
}

function settingsOf(mock: S3Mock) {
  return {
    bucket: mock.bucket,
    region: mock.region,
    access_key_id: mock.accessKeyId,
    secret_access_key: mock.secret,
    path_style: true,
    base_url: mock.server.url,
    allow_private: true,
  };
}

async function run(mock: S3Mock, options: Partial<VendorRunOptions> = {}): Promise<VendorRun> {
  const opened = await VendorRun.open({
    connector: s3,
    settings: settingsOf(mock),
    object: null,
    mode: "event",
    columns: { id: "text", total: "numeric" },
    options: {},
    ...options,
  });
  onTestFinished(() => opened[Symbol.asyncDispose]());
  return opened;
}

test("a batch is one object, named by its first and last row, in the folder of the first one's commit", async () => {
  const mock = await mockS3();
  const log = await run(mock);
  for (const id of ["1", "2", "3"]) log.put({ id, total: "12.50" }, "insert");
  await log.finished();
  const [[name, { body, type }], ...others] = [...mock.objects] as [[string, { body: string; type: string }]];
  expect([others, type]).toEqual([[], "application/x-ndjson"]);
  expect(name).toMatch(/^users_to_crm\/2023-11-14\/[\w-]+00000001_[\w-]+00000003_[0-9a-f]{16}\.ndjson$/);
  const lines = body.split("\n");
  expect([lines.length, lines.at(-1)]).toEqual([4, ""]);
  expect(JSON.parse(lines[0]!)).toMatchObject({
    type: "event",
    op: "insert",
    key: { id: "1" },
    record: { id: "1" },
    old: null,
  });
  expect(lines[0]).toContain('"total":12.50');
});

test("what was stored, and its answer lost, is put over itself", async () => {
  const mock = await mockS3();
  mock.server.fail(faultsInTurn(["reset-after", "truncated"]));
  const log = await run(mock);
  for (const id of ["1", "2"]) log.put({ id, total: null }, "insert");
  await log.finished();
  expect([mock.server.requests.length, mock.objects.size, log.delivered, mock.lines.length]).toEqual([3, 1, 2, 2]);
});

test("an answer without a tag is not of S3", async () => {
  const mock = await mockS3();
  mock.server.fail(faultsInTurn([{ status: 200, body: "<html>" }]));
  const log = await run(mock);
  log.put({ id: "1", total: null }, "insert");
  await log.finished();
  expect([log.delivered, mock.server.requests.length]).toEqual([1, 2]);
});

test("a path may be a partition, and a line the record alone", async () => {
  const mock = await mockS3();
  const log = await run(mock, { options: { path: "a=1/h={hour}/", format: "record" } });
  log.put({ id: "é", total: "1" }, "insert");
  await log.finished();
  expect([...mock.objects.keys()][0]).toMatch(/^a=1\/h=22\//);
  expect(mock.lines).toEqual(['{"id":"é","total":1}']);
});

test("a line that is a record alone says of no delete, so it is not for rows that change", async () => {
  const mock = await mockS3();
  const refused = run(mock, { mode: "upsert", options: { format: "record" } });
  await expect(refused).rejects.toMatchObject({ code: "destination.config" });
});

test("the bucket may be in the host, and credentials may be temporary", async () => {
  const mock = await mockS3();
  mock.pathStyle = false;
  mock.sessionToken = "session-1";
  const log = await run(mock, { settings: { ...settingsOf(mock), path_style: false, session_token: "session-1" } });
  expect(await log.destination.check([log.target], neverAborted())).toEqual([]);
  log.put({ id: "1", total: null }, "insert");
  await log.finished();
  expect([log.rejected, mock.objects.size]).toEqual([[], 1]);
});

test.each([
  [false, "https://b.c.s3.us-east-1.amazonaws.com"],
  [true, "https://s3.us-east-1.amazonaws.com"],
])("with `path_style: %j` the address is %s", (path_style, address) => {
  const given = { access_key_id: "a", secret_access_key: "b", bucket: "b.c", path_style };
  expect(originOf(settings.parse(given))).toBe(address);
});

test.each([
  ["a bucket that there is not", { bucket: "other" }, "destination.config", "NoSuchBucket"],
  ["another region", { region: "us-east-1" }, "destination.config", "AuthorizationHeaderMalformed"],
  ["a wrong secret", { secret_access_key: "wrong" }, "destination.auth", "SignatureDoesNotMatch"],
  ["a wrong key", { access_key_id: "AKIA-other" }, "destination.auth", "InvalidAccessKeyId"],
])("check tells %s", async (_, wrong, code, said) => {
  const mock = await mockS3();
  const log = await run(mock, { settings: { ...settingsOf(mock), ...wrong } });
  const findings = await log.destination.check([log.target], neverAborted());
  expect(findings).toMatchObject([{ level: "error", code }]);
  expect(findings[0]?.message).toContain(said);
});

test("a bucket that may not be written to makes the sync wait, and rejects no row", async () => {
  const mock = await mockS3();
  mock.server.fail(() => s3Error(403, "AccessDenied"));
  const log = await run(mock);
  log.put({ id: "1", total: null }, "insert");
  await expect.poll(() => log.gate.closedBy?.code).toBe("destination.auth");
  expect([log.rejected, log.left]).toEqual([[], 1]);
});

test.each(["/a", "a//b", "../a", "a/../b", "a b/", "{minute}/", "{sync", "é"])("%j is no path of objects", (path) => {
  expect(s3.sync.safeParse({ path }).success).toBe(false);
});

test.each(["", "a/", "date={year}-{month}-{day}/{hour}_", "{sync}/v1.2/"])("%j is a path of objects", (path) => {
  expect(s3.sync.safeParse({ path }).success).toBe(true);
});
