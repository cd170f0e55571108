import type { Delivery, Outcome } from "../../contracts/destination.ts";
import type { Operation, Operations, Place } from "../../kit/vendor/definition.ts";
import { Outcomes, allDelivered, matchText } from "../../kit/vendor/outcomes.ts";
import type { Session } from "../../kit/vendor/session.ts";
import { type Cell, cellsOf, rowData, runsOf } from "./cells.ts";
import type { SheetsSettings } from "./settings.ts";
import { Tab, noColumn } from "./tab.ts";

export const BATCH_ROWS = 500;

/**
 * The end of what is being written to a spreadsheet, by its connection's settings. A row's place holds only until the next write, so that
 * one is read for and done after another, whatever `concurrency` the user has set.
 */
const ends = new WeakMap<SheetsSettings, Promise<unknown>>();

async function inTurn<T>(settings: SheetsSettings, write: () => Promise<T>): Promise<T> {
  const turn = (ends.get(settings) ?? Promise.resolve()).then(write);
  // What became of one is nothing to the next.
  ends.set(
    settings,
    turn.catch(() => {}),
  );
  return turn;
}

/** Deliveries of every kind share a request, which Google does whole or not at all. */
export function operations({ object, target, settings }: Place<SheetsSettings>): Operations {
  const appends = target.mode === "insert" || target.mode === "event";
  const key = appends ? null : (target.match[0] ?? null);
  const tab = new Tab(settings.spreadsheet_id, object, key);

  async function change(rows: readonly Delivery[], session: Session): Promise<readonly Outcome[]> {
    const { sheetId, columns, rows: present } = await tab.read(session);
    const columnOf = (name: string): number => {
      const column = columns.get(name);
      if (column === undefined) throw noColumn(object, name);
      return column;
    };
    const updates: string[] = [];
    const gone: number[] = [];
    const added: string[] = [];
    for (const row of rows) {
      const at = key === null ? undefined : present.get(matchText(row));
      if (row.op === "delete") {
        if (at !== undefined) gone.push(at);
        continue;
      }
      // What is not there is neither updated nor cleared, and that is all right.
      if (at === undefined && !makes(row)) continue;
      const cells = cellsOf(row.record, columnOf, key);
      if (at === undefined) added.push(rowData(cells));
      else updates.push(...runsOf(cells).map((run) => updateCells(sheetId, at, run)));
    }
    // From the bottom up, because what is below a row moves when it goes.
    const deletes = gone.sort((a, b) => b - a).map((at) => deleteRow(sheetId, at));
    const appended =
      added.length === 0
        ? []
        : [`{"appendCells":{"sheetId":${sheetId},"rows":[${added.join(",")}],"fields":"userEnteredValue"}}`];
    const requests = [...updates, ...deletes, ...appended];
    if (requests.length === 0 || (await tab.change(requests, session))) return allDelivered(rows);
    return new Outcomes(rows).whereSaid();
  }

  const write: Operation = {
    rows: BATCH_ROWS,
    send: (rows, session) => inTurn(settings, () => change(rows, session)),
  };
  return { upsert: write, delete: write, clear: write, update: write, create: write, event: write };
}

function makes({ op }: Delivery): boolean {
  return op === "upsert" || op === "create" || op === "event";
}

function updateCells(sheetId: string, row: number, run: readonly Cell[]): string {
  const [first] = run;
  const start = `{"sheetId":${sheetId},"rowIndex":${row},"columnIndex":${first!.column}}`;
  const values = run.map(({ json }) => json).join(",");
  return `{"updateCells":{"start":${start},"rows":[{"values":[${values}]}],"fields":"userEnteredValue"}}`;
}

function deleteRow(sheetId: string, row: number): string {
  return `{"deleteDimension":{"range":{"sheetId":${sheetId},"dimension":"ROWS","startIndex":${row},"endIndex":${row + 1}}}}`;
}
