import type { Delivery, MappedRecord, Shape } from "../../contracts/destination.ts";
import { UNCHANGED } from "../../contracts/values.ts";
import type { SalesforceField } from "./schema.ts";
import { salesforceText } from "./values.ts";

/** Empties a field. A cell without text leaves it as it is. */
const NULL = "#N/A";

/** Whether no value is the very text that stands for none in CSV. */
export function fitsCsv({ values }: MappedRecord): boolean {
  return !values.includes(NULL);
}

/** Rows as Bulk API 2.0 takes them; a column that a row has not is a cell without text. */
export function csvOf(rows: readonly Delivery[], fields: ReadonlyMap<string, SalesforceField>): string {
  const shapes = new Set(rows.map(({ record }) => record.shape));
  const columns = [...new Set([...shapes].flatMap((shape) => shape.fields).map(({ name }) => name))];
  const lines = new Map([...shapes].map((shape) => [shape, lineOf(shape, columns, fields)]));
  let csv = `${columns.map(cell).join(",")}\n`;
  for (const { record } of rows) csv += `${lines.get(record.shape)!(record)}\n`;
  return csv;
}

function lineOf(shape: Shape, columns: readonly string[], fields: ReadonlyMap<string, SalesforceField>) {
  const compiled = columns.map((column) => {
    const index = shape.fields.findIndex(({ name }) => name === column);
    const textOf = index === -1 ? null : salesforceText(shape.fields[index]!, fields);
    return { index, textOf, empty: fields.get(column)?.nillable === true ? NULL : "" };
  });
  return (record: MappedRecord): string =>
    compiled
      .map(({ index, textOf, empty }) => {
        const value = record.values[index];
        if (textOf === null || value === UNCHANGED || value === undefined) return "";
        const text = value === null ? "" : textOf(value, record, index);
        return text.trim() === "" ? empty : cell(text);
      })
      .join(",");
}

function cell(text: string): string {
  return /^[\w.+:-]+$/.test(text) ? text : `"${text.replaceAll('"', '""')}"`;
}

/** Rows of a job's results, each by column. */
export function* readCsv(text: string): Generator<ReadonlyMap<string, string>> {
  let header: readonly string[] | null = null;
  for (const cells of lines(text)) {
    if (header === null) header = cells;
    else yield new Map(header.map((name, at) => [name, cells[at] ?? ""]));
  }
}

function* lines(text: string): Generator<readonly string[]> {
  const token = /(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\r?\n|$)/y;
  let cells: string[] = [];
  while (token.lastIndex < text.length) {
    const [, quoted, plain = "", end = ""] = token.exec(text) ?? [];
    cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ",") continue;
    yield cells;
    cells = [];
    // What is no CSV ends here: its rows are not accounted for.
    if (end === "") return;
  }
}
