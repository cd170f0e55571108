import type { MappedRecord } from "../../contracts/destination.ts";
import { jsonString } from "../../contracts/json-string.ts";
import { UNCHANGED } from "../../contracts/values.ts";

/** A cell that is to be written: its column, from 0, and a CellData. */
export interface Cell {
  readonly column: number;
  readonly json: string;
}

const EMPTY = "{}";

/** The cells of a record, from left to right; fields that were not sent have none. `columnOf` throws where there is no column. */
export function cellsOf(record: MappedRecord, columnOf: (name: string) => number, key: string | null): readonly Cell[] {
  const { fields } = record.shape;
  const cells: Cell[] = [];
  for (const [at, { name }] of fields.entries()) {
    const value = record.values[at];
    if (value === UNCHANGED || value === undefined) continue;
    cells.push({ column: columnOf(name), json: value === null ? EMPTY : cellData(record, at, value, name === key) });
  }
  return cells.sort((a, b) => a.column - b.column);
}

/** As RAW input is taken: a text is never read as a number, a date or a formula. */
function cellData(record: MappedRecord, at: number, text: string, isKey: boolean): string {
  const { json } = record.shape.fields[at]!;
  // A key is found by its text.
  const typed = !isKey && ((json === "number" && isExact(text)) || json === "boolean");
  if (!typed) return `{"userEnteredValue":{"stringValue":${jsonString(text)}}}`;
  return `{"userEnteredValue":{"${json === "number" ? "numberValue" : "boolValue"}":${record.fieldJson(at)}}}`;
}

/** Sheets has numbers of 15 digits; one with more stays whole as a text. */
function isExact(text: string): boolean {
  return /^-?\d+(\.\d+)?$/.test(text) && text.replaceAll(/[-.]/g, "").replace(/^0+/, "").length <= 15;
}

/** Cells side by side, so that what is between them is left alone. */
export function runsOf(cells: readonly Cell[]): readonly (readonly Cell[])[] {
  const runs: Cell[][] = [];
  for (const cell of cells) {
    const run = runs.at(-1);
    if (run?.at(-1)?.column === cell.column - 1) run.push(cell);
    else runs.push([cell]);
  }
  return runs;
}

/** A RowData from column A on. */
export function rowData(cells: readonly Cell[]): string {
  const values: string[] = [];
  for (const { column, json } of cells) {
    while (values.length < column) values.push(EMPTY);
    values.push(json);
  }
  return `{"values":[${values.join(",")}]}`;
}
