// What is Salesforce's own; what every vendor's destination must do is in test/conformance/vendors/salesforce.test.ts.
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { neverAborted } from "../../../test/conformance/running.ts";
import { faultsInTurn } from "../../../test/mocks/support/faults.ts";
import { LOGIN, asked, mockSalesforce, records, run } from "../../../test/mocks/salesforce/run.ts";
import { problem, tooMany } from "../../../test/mocks/salesforce/salesforce.ts";
import type { VendorRun } from "../../../test/support/vendor-lane.ts";
import salesforce from "./index.ts";

test("200 records a request; what is removed is looked up once, and deleted together", async () => {
  const mock = await mockSalesforce();
  const accounts = await run(mock, { options: { bulk_from: "never" } });
  const rows = Array.from({ length: 450 }, (_, n) => ({ Ext__c: `it's ${n}\\`, Name: `n${n}` }));
  for (const row of rows) accounts.put(row);
  await accounts.finished();
  const upsert = "PATCH composite/sobjects/Account/Ext__c";
  expect(asked(mock)).toEqual([upsert, upsert, upsert]);
  for (const row of rows.slice(0, 150)) accounts.gone(row);
  await accounts.finished();
  expect(asked(mock).slice(3)).toEqual(["GET query", "DELETE composite/sobjects"]);
  expect([records(mock).length, accounts.rejected]).toEqual([300, []]);
});

test("a row that meets a lock is sent again, and no other", async () => {
  const mock = await mockSalesforce();
  const accounts = await run(mock);
  mock.object("Account").locked.add("2");
  for (const n of [1, 2, 3]) accounts.put({ Ext__c: `${n}`, Name: "x" });
  await expect.poll(() => accounts.delivered).toBe(2);
  mock.object("Account").locked.clear();
  await accounts.finished();
  expect([accounts.delivered, accounts.rejected, records(mock).length]).toEqual([3, [], 3]);
  expect(mock.server.requests.at(-1)!.body).not.toContain('"Ext__c":"1"');
});

test("results that are not as many as the records say nothing of any", async () => {
  const mock = await mockSalesforce();
  const accounts = await run(mock);
  const one = { id: "001", success: true, errors: [] };
  mock.server.fail(faultsInTurn([{ status: 200, body: [one] }], ({ method }) => method === "PATCH"));
  for (const n of [1, 2]) accounts.put({ Ext__c: `${n}`, Name: "x" });
  await accounts.finished();
  expect([accounts.delivered, accounts.rejected, records(mock).length]).toEqual([2, [], 2]);
});

test("a trigger's error that is of a lock is one", async () => {
  const mock = await mockSalesforce();
  const accounts = await run(mock);
  const message = "rollUp: execution of AfterUpdate caused by: UNABLE_TO_LOCK_ROW, unable to obtain exclusive access";
  const failed = {
    success: false,
    errors: [{ statusCode: "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", message, fields: [] }],
  };
  mock.server.fail(faultsInTurn([{ status: 200, body: [failed] }], ({ method }) => method === "PATCH"));
  accounts.put({ Ext__c: "1", Name: "x" });
  await accounts.finished();
  expect([accounts.delivered, accounts.rejected]).toEqual([1, []]);
});

test("values are written as the field has them, whatever the column is", async () => {
  const mock = await mockSalesforce();
  const accounts = await run(mock, {
    mode: "upsert",
    columns: {
      Number__c: "text",
      Name: "bigint",
      Revenue__c: "text",
      Active__c: "boolean",
      Born__c: "timestamp without time zone",
      Tags__c: "text[]",
    },
  });
  expect(await accounts.destination.check([accounts.target], neverAborted())).not.toContainEqual(
    expect.objectContaining({ level: "error" }),
  );
  accounts.put({
    Number__c: "7",
    Name: "9007199254740993",
    Revenue__c: "1.50",
    Active__c: "true",
    Born__c: "2001-02-03 04:05:06",
    Tags__c: "{1}",
  });
  accounts.put({ Number__c: "8", Name: null, Revenue__c: null, Active__c: null, Born__c: null, Tags__c: null });
  await accounts.finished();
  expect(accounts.rejected).toEqual([]);
  expect(records(mock)).toEqual([
    {
      Number__c: "7",
      Name: "9007199254740993",
      Revenue__c: "1.50",
      Active__c: "true",
      Born__c: "2001-02-03",
      Tags__c: "1",
    },
    { Number__c: "8", Active__c: "false" },
  ]);
});

test("records are found by a number too, and of two that have the value none is changed", async () => {
  const mock = await mockSalesforce();
  const made = await run(mock, { mode: "insert", columns: { Ext__c: "text", Number__c: "numeric", Group__c: "text" } });
  for (const n of ["1", "2", "3"]) made.put({ Ext__c: n, Number__c: `${n}.50`, Group__c: n === "3" ? "b" : "A" });
  await made.finished();
  const byNumber = await run(mock, { mode: "update", columns: { Number__c: "numeric", Name: "text" } });
  byNumber.put({ Number__c: "1.5", Name: "one" });
  byNumber.put({ Number__c: "9", Name: "nobody" });
  byNumber.put({ Number__c: "NaN", Name: "nobody" });
  await byNumber.finished();
  const byGroup = await run(mock, { mode: "update", columns: { Group__c: "text", Name: "text" } });
  byGroup.put({ Group__c: "a", Name: "two" });
  byGroup.put({ Group__c: "B", Name: "three" });
  await byGroup.finished();
  expect(byGroup.rejected.map(({ key, error }) => [key, error.message])).toEqual([
    ["a", "Salesforce refused this row: DUPLICATE_EXTERNAL_ID"],
  ]);
  expect([byNumber.delivered, byNumber.rejected]).toEqual([3, []]);
  expect(records(mock).map(({ Name }) => Name ?? null)).toEqual(["one", null, "three"]);
});

test("a lookup is set by a field of the other record, by either way", async () => {
  const mock = await mockSalesforce();
  const accounts = await run(mock);
  accounts.put({ Ext__c: "a-1", Name: "A" });
  await accounts.finished();
  const [account] = mock.records("Account").keys();
  for (const bulk_from of ["never", 1]) {
    const contacts = await run(mock, {
      object: "Contact",
      options: { bulk_from },
      columns: { Ext__c: "text", LastName: "text", "Account.Ext__c": "text" },
    });
    const findings = await contacts.destination.check([contacts.target], neverAborted());
    expect(findings.filter(({ level }) => level === "error")).toEqual([]);
    contacts.put({ Ext__c: `c-${bulk_from}`, LastName: "L", "Account.Ext__c": "a-1" });
    contacts.put({ Ext__c: `d-${bulk_from}`, LastName: "L", "Account.Ext__c": null });
    await contacts.finished();
    expect(contacts.rejected).toEqual([]);
  }
  expect(
    records(mock, "Contact")
      .map(({ AccountId }) => AccountId)
      .filter(Boolean),
  ).toEqual([account, account]);
});

test("values that differ in case are one record: the later row waits for the earlier", async () => {
  const mock = await mockSalesforce();
  const accounts = await run(mock);
  for (const Ext__c of ["a", "B", "b", "c"]) accounts.put({ Ext__c, Name: Ext__c });
  await accounts.finished();
  expect([accounts.delivered, accounts.rejected]).toEqual([4, []]);
  expect(new Set(records(mock).map(({ Name }) => Name))).toEqual(new Set(["a", "b", "c"]));
});

test("requests that are used up for the day are waited for", async () => {
  const mock = await mockSalesforce();
  const accounts = await run(mock);
  mock.server.fail((request) => (request.method === "PATCH" ? tooMany() : null));
  accounts.put({ Ext__c: "1", Name: "x" });
  await expect.poll(() => accounts.gate.closedBy?.message).toBe("Salesforce answered 403: REQUEST_LIMIT_EXCEEDED");
  expect(accounts.gate.closedBy?.afterMs).toBe(900_000);
});

test("a session that has ended is begun anew, once for all requests", async () => {
  const mock = await mockSalesforce();
  const accounts = await run(mock, { options: { bulk_from: "never" } });
  accounts.put({ Ext__c: "0", Name: "x" });
  await accounts.finished();
  mock.endSession();
  for (let n = 1; n <= 600; n++) accounts.put({ Ext__c: `${n}`, Name: "x" });
  await accounts.finished();
  expect([mock.sessions, accounts.delivered, accounts.rejected]).toEqual([2, 601, []]);
});

test("tokens come by a certificate, or by a refresh token", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  const folder = mkdtempSync(join(tmpdir(), "tailrace-salesforce-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "key.pem");
  writeFileSync(file, privateKey);
  const mock = await mockSalesforce(publicKey);
  const ways = [{ private_key: { file }, username: "etl@acme.example" }, { refresh_token: "s3cret" }];
  for (const way of ways) {
    mock.endSession();
    const settings = { ...LOGIN, ...way, base_url: mock.server.url };
    const accounts = await run(mock, { settings });
    expect(await accounts.destination.check([accounts.target], neverAborted())).toEqual([]);
  }
  expect(mock.sessions).toBe(2);
});

test.each([
  {},
  { private_key: { file: "k.pem" } },
  { client_secret: "s", private_key: { file: "k.pem" }, username: "u" },
  { client_secret: "s", login_url: "https://acme.my.salesforce.com/login" },
])("settings that say no one way to sign in are refused: %j", (given) => {
  expect(salesforce.settings.safeParse({ ...LOGIN, ...given }).success).toBe(false);
});

test("a field that is gone stops the sync, and rejects no row", async () => {
  const mock = await mockSalesforce();
  const accounts = await run(mock);
  mock.server.fail((request) =>
    request.method === "PATCH" ? problem(400, "INVALID_FIELD", "No such column 'Name'") : null,
  );
  accounts.put({ Ext__c: "1", Name: "x" });
  await accounts.finished();
  expect(accounts.stops.map(({ code, message }) => [code, message])).toEqual([
    ["destination.config", "Salesforce answered 400: INVALID_FIELD"],
  ]);
  expect(accounts.rejected).toEqual([]);
});

test("check names what does not fit the object", async () => {
  const mock = await mockSalesforce();
  const contacts = await run(mock, {
    object: "Contact",
    columns: { Ext__c: "text", LastNam: "text", "Acount.Ext__c": "text" },
  });
  const found = async (of: VendorRun) =>
    (await of.destination.check([of.target], neverAborted())).map(
      ({ level, code, message }) => `${level} ${code} ${message}`,
    );
  expect(await found(contacts)).toEqual([
    "error salesforce.unknown_field Salesforce Contact has no field `LastNam` (did you mean `LastName`?).",
    expect.stringContaining("error salesforce.unknown_field Salesforce Contact has no field `Acount.Ext__c`"),
    "error salesforce.missing_field Salesforce Contact needs `LastName`, which is not mapped.",
  ]);
  const accounts = await run(mock, { columns: { Name: "text", Score__c: "numeric", Active__c: "boolean" } });
  expect(await found(accounts)).toEqual([
    "error salesforce.read_only `Score__c` of Salesforce Account cannot be written.",
    "info salesforce.not_clearable `Active__c` of Salesforce Account cannot be emptied: a null leaves the value that is there.",
    expect.stringContaining("error salesforce.match Salesforce Account finds no record by `Name`"),
  ]);
});
