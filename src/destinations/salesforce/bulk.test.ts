// Jobs of Bulk API 2.0.
import { expect, test } from "vitest";
import { asked, mockSalesforce, records, run } from "../../../test/mocks/salesforce/run.ts";
import { testMemory } from "../../../test/support/vendor-lane.ts";
import { UNCHANGED } from "../../contracts/values.ts";

test("from so many rows on a batch is one job; a null empties a field there, what is left out keeps its value", async () => {
  const mock = await mockSalesforce();
  const accounts = await run(mock, {
    options: { bulk_from: 3 },
    columns: { Ext__c: "text", Name: "text", Tags__c: "text[]", Active__c: "boolean" },
  });
  const names = ['say "no"', "a,b\nc", "ünï"];
  for (const [n, Name] of names.entries()) accounts.put({ Ext__c: `${n}`, Name, Tags__c: "{a,b}", Active__c: "true" });
  await accounts.finished();
  expect(mock.jobs.all.size).toBe(1);
  expect(new Set(records(mock).map(({ Name }) => Name))).toEqual(new Set(names));
  expect(records(mock)[0]).toMatchObject({ Tags__c: "a;b", Active__c: "true" });
  accounts.put({ Ext__c: "0", Name: null, Tags__c: UNCHANGED, Active__c: UNCHANGED });
  accounts.put({ Ext__c: "1", Name: " ", Tags__c: null, Active__c: null });
  accounts.put({ Ext__c: "2", Name: UNCHANGED, Tags__c: "{}", Active__c: "false" });
  await accounts.finished();
  expect(mock.jobs.all.size).toBe(2);
  const byKey = new Map(records(mock).map((record) => [record["Ext__c"], record]));
  expect(byKey.get("0")).toEqual({ Ext__c: "0", Tags__c: "a;b", Active__c: "true" });
  expect(byKey.get("1")).toEqual({ Ext__c: "1", Active__c: "true" });
  expect(byKey.get("2")).toMatchObject({ Name: "ünï", Active__c: "false" });
  expect(accounts.rejected).toEqual([]);
});

test("a text that would empty a field in CSV goes with its batch by the other way", async () => {
  const mock = await mockSalesforce();
  const accounts = await run(mock, { options: { bulk_from: 1 } });
  accounts.put({ Ext__c: "1", Name: "#N/A" });
  await accounts.finished();
  expect([mock.jobs.all.size, records(mock)[0]?.["Name"]]).toEqual([0, "#N/A"]);
  // Nor would a job tell of a row without a value to be found by.
  accounts.put({ Ext__c: " ", Name: "nobody" });
  await accounts.finished();
  expect([mock.jobs.all.size, accounts.rejected.map(({ key }) => key)]).toEqual([0, [" "]]);
});

test("of a job, each row is told what became of it", async () => {
  const mock = await mockSalesforce();
  const accounts = await run(mock, { options: { bulk_from: 2 }, columns: { Ext__c: "text", Revenue__c: "text" } });
  accounts.put({ Ext__c: "1", Revenue__c: "12345678901234567.5" });
  accounts.put({ Ext__c: "2", Revenue__c: "much" });
  await accounts.finished();
  expect(accounts.rejected.map(({ key, error }) => [key, error.message])).toEqual([
    ["2", "Salesforce refused this row: INVALID_TYPE_ON_FIELD_IN_RECORD"],
  ]);
  expect(accounts.rejected[0]?.error.answer).not.toContain("much");
  expect(records(mock)).toEqual([{ Ext__c: "1", Revenue__c: "12345678901234567.5", Active__c: "false" }]);
});

test("what a job that is stopped has not come to is sent again", async () => {
  const mock = await mockSalesforce();
  const accounts = await run(mock, { options: { bulk_from: 4 } });
  mock.jobs.abortAfter = 3;
  for (const n of [1, 2, 3, 4, 5, 6]) accounts.put({ Ext__c: `${n}`, Name: "x" });
  await accounts.finished();
  expect([records(mock).length, accounts.delivered, accounts.rejected]).toEqual([6, 6, []]);
  // The three that were left are too few for a job.
  expect(asked(mock).at(-1)).toBe("PATCH composite/sobjects/Account/Ext__c");
});

test("a job that was on its way at a kill is waited for, before anything newer is sent, and is not submitted again", async () => {
  const mock = await mockSalesforce();
  const memory = testMemory();
  const looks = ({ method, url }: { method: string; url: string }): boolean =>
    method === "GET" && url.includes("/jobs/ingest/");
  let closed = false;
  mock.server.hold();
  mock.server.fail((request) => {
    closed ||= request.method === "PATCH" && request.url.includes("/jobs/ingest/");
    return closed && looks(request) ? "hang" : null;
  });
  const killed = await run(mock, { memory, options: { bulk_from: 3 } });
  for (const n of [1, 2, 3]) killed.put({ Ext__c: `${n}`, Name: "old" }, "insert", n);
  await expect.poll(() => closed && mock.server.requests.filter(looks).length > 1).toBe(true);
  await killed[Symbol.asyncDispose]();
  mock.server.fail(() => null);
  mock.server.release();
  const again = await run(mock, { memory, options: { bulk_from: 3 } });
  // One row alone, which a job is not worth.
  again.put({ Ext__c: "1", Name: "new" }, "update", 4);
  await again.finished();
  expect(mock.jobs.all.size).toBe(1);
  expect(
    records(mock)
      .map(({ Ext__c, Name }) => `${Ext__c} ${Name}`)
      .sort(),
  ).toEqual(["1 new", "2 old", "3 old"]);
});
