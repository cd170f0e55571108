// What is Google Sheets' own; what every vendor's destination must do is in test/conformance/vendors/google-sheets.test.ts.
import { expect, onTestFinished, test } from "vitest";
import { neverAborted } from "../../../test/conformance/running.ts";
import { type CellValue, GoogleSheetsMock } from "../../../test/mocks/google-sheets/google-sheets.ts";
import { faultsInTurn } from "../../../test/mocks/support/faults.ts";
import { delivery, shapeOf } from "../../../test/support/deliveries.ts";
import { VendorRun, type VendorRunOptions } from "../../../test/support/vendor-lane.ts";
import { UNCHANGED } from "../../contracts/values.ts";
import sheets from "./index.ts";
import { letters } from "./tab.ts";

const TAB = "It's";

async function mockSheets(
  rows: readonly (readonly CellValue[])[] = [["id", "name", "mrr"]],
): Promise<GoogleSheetsMock> {
  const mock = await GoogleSheetsMock.start("secret-1");
  mock.setTab("Other", [["id"]]);
  mock.setTab(TAB, rows);
  onTestFinished(() => mock[Symbol.asyncDispose]());
  return mock;
}

async function run(mock: GoogleSheetsMock, options: Partial<VendorRunOptions> = {}): Promise<VendorRun> {
  const opened = await VendorRun.open({
    connector: sheets,
    settings: {
      spreadsheet_id: mock.spreadsheetId,
      service_account: mock.key,
      base_url: mock.server.url,
      allow_private: true,
    },
    object: TAB,
    mode: "mirror",
    onDelete: { kind: "delete" },
    columns: { id: "text", name: "text", mrr: "numeric" },
    ...options,
  });
  onTestFinished(() => opened[Symbol.asyncDispose]());
  return opened;
}

const texts = (mock: GoogleSheetsMock) => mock.rows(TAB).map((row) => Object.values(row));
const writes = (mock: GoogleSheetsMock) => mock.server.requests.filter(({ path }) => path[2]?.endsWith(":batchUpdate"));

test("updates, deletions and new rows of a batch are one request", async () => {
  const mock = await mockSheets([
    ["id", "name", "mrr"],
    ["1", "a"],
    ["2", "b"],
    ["3", "c"],
    ["4", "d"],
  ]);
  const rows = await run(mock);
  rows.gone({ id: "1", name: "a", mrr: null });
  rows.put({ id: "4", name: "D", mrr: "1.50" });
  rows.gone({ id: "3", name: "c", mrr: null });
  rows.put({ id: "5", name: "e", mrr: null }, "insert");
  rows.gone({ id: "9", name: "never", mrr: null });
  await rows.finished();
  expect([rows.delivered, rows.rejected, writes(mock).length]).toEqual([5, [], 1]);
  expect(texts(mock)).toEqual([
    ["2", "b", null],
    ["4", "D", "1.50"],
    ["5", "e", null],
  ]);
});

test("rows that somebody sorts, and columns that somebody moves, are found where they are now", async () => {
  const mock = await mockSheets();
  const rows = await run(mock);
  for (const id of ["1", "2"]) rows.put({ id, name: `n${id}`, mrr: id }, "insert");
  await rows.finished();
  mock.setTab(TAB, [
    ["note", "mrr", "name", "id"],
    ["mine", "2", "n2", "2"],
    ["", "1", "n1", "1"],
  ]);
  rows.put({ id: "2", name: "new", mrr: "7" });
  rows.put({ id: "3", name: "n3", mrr: null }, "insert");
  await rows.finished();
  expect(texts(mock)).toEqual([
    ["mine", "7", "new", "2"],
    [null, "1", "n1", "1"],
    [null, null, "n3", "3"],
  ]);
});

test("texts stay texts, and numbers that Sheets would round are texts too", async () => {
  const mock = await mockSheets();
  const rows = await run(mock);
  const names = ["=1+1", "007", "2026-01-02", "TRUE", "'a", "+49 30"];
  for (const [at, name] of names.entries()) rows.put({ id: `${at}`, name, mrr: null }, "insert");
  rows.put({ id: "large", name: null, mrr: "12345678901234567890.5" }, "insert");
  await rows.finished();
  expect(mock.grid(TAB).slice(1)).toEqual([
    ...names.map((name, at) => [`${at}`, name, null]),
    ["large", null, "12345678901234567890.5"],
  ]);
});

test("a key that somebody typed as a number is that key; a field that was not sent keeps its value", async () => {
  const mock = await mockSheets();
  const rows = await run(mock, { columns: { id: "bigint", name: "text", mrr: "numeric" } });
  rows.put({ id: "42", name: "a", mrr: "1" }, "insert");
  await rows.finished();
  expect(mock.grid(TAB)[1]?.[0]).toBe("42");
  rows.put({ id: "42", name: UNCHANGED, mrr: "2" });
  await rows.finished();
  expect(texts(mock)).toEqual([["42", "a", "2"]]);
});

test("what was appended, and its answer lost, is found and not appended again", async () => {
  const mock = await mockSheets();
  mock.server.fail(faultsInTurn(["reset-after"], ({ path }) => path[2]?.endsWith(":batchUpdate") === true));
  const rows = await run(mock);
  for (const id of ["1", "2"]) rows.put({ id, name: id, mrr: null }, "insert");
  await rows.finished();
  expect([rows.delivered, writes(mock).length, texts(mock).length]).toEqual([2, 2, 2]);
});

test("writes that are begun beside each other are done one after the other", async () => {
  const mock = await mockSheets([
    ["id", "name"],
    ["1", "a"],
    ["2", "b"],
    ["3", "c"],
  ]);
  const { destination, target } = await run(mock, { columns: { id: "text", name: "text" } });
  const writers = await Promise.all([1, 2].map(() => destination.open(target, neverAborted())));
  const shape = shapeOf({ id: "text", name: "text" });
  const row = (op: "delete" | "upsert", id: string, name: string | null) => delivery({ op, shape, values: [id, name] });
  const outcomes = await Promise.all([
    writers[0]!.write([row("delete", "1", null)], neverAborted()),
    writers[1]!.write([row("upsert", "3", "C"), row("upsert", "4", "d")], neverAborted()),
    writers[0]!.write([row("delete", "2", null), row("upsert", "5", "e")], neverAborted()),
  ]);
  expect(outcomes.flat().map(({ status }) => status)).toEqual(Array(5).fill("delivered"));
  expect(texts(mock)).toEqual([
    ["3", "C"],
    ["4", "d"],
    ["5", "e"],
  ]);
});

test("a spreadsheet that is full stops the sync, and rejects no row", async () => {
  const mock = await mockSheets();
  mock.mostCells = 3;
  const rows = await run(mock);
  rows.put({ id: "1", name: "a", mrr: null }, "insert");
  await rows.finished();
  expect([rows.stops.map(({ code, message }) => `${code}: ${message}`), rows.rejected, rows.left]).toEqual([
    ["destination.config: Google Sheets answered 400: CELL_LIMIT"],
    [],
    1,
  ]);
});

test("a tab that there is not, and names that it has not, are told by check and stop the sync", async () => {
  const mock = await mockSheets([["id", "nme"]]);
  const rows = await run(mock);
  const findings = await rows.destination.check([rows.target, { ...rows.target, object: "Nowhere" }], neverAborted());
  expect(findings.map(({ code, message }) => `${code} ${message}`)).toEqual([
    expect.stringMatching(/^google-sheets.unknown_field .*`name`.*`nme`/),
    expect.stringMatching(/^google-sheets.unknown_field .*`mrr`/),
    expect.stringMatching(/^destination.config .*`Nowhere`/),
  ]);
  rows.put({ id: "1", name: "a", mrr: null }, "insert");
  await rows.finished();
  expect([rows.stops[0]?.code, rows.stops[0]?.message, rows.left]).toEqual([
    "destination.config",
    "Row 1 of the tab `It's` has no column `name`",
    1,
  ]);
});

test("a secret that is no key is refused without being quoted", async () => {
  const mock = await mockSheets();
  const settings = { spreadsheet_id: mock.spreadsheetId, service_account: `{"type":"SECRET"}`, allow_private: true };
  const rows = await run(mock, { settings: { ...settings, base_url: mock.server.url } });
  const findings = await rows.destination.check([rows.target], neverAborted());
  expect(findings).toMatchObject([{ code: "destination.auth" }]);
  expect(JSON.stringify(findings)).not.toContain("SECRET");
});

test.each([
  [0, "A"],
  [25, "Z"],
  [26, "AA"],
  [51, "AZ"],
  [52, "BA"],
  [701, "ZZ"],
  [702, "AAA"],
])("column %d is %s", (column, name) => expect(letters(column)).toBe(name));
