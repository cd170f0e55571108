import { TailraceError } from "../../contracts/errors.ts";
import { member, memberList, memberText } from "../../kit/vendor/json.ts";
import type { Session } from "../../kit/vendor/session.ts";

/** What a tab holds now. */
export interface TabContent {
  /** Google's number of the tab. */
  readonly sheetId: string;
  /** Places of the columns, from 0, by the names in row 1. */
  readonly columns: ReadonlyMap<string, number>;
  /** Places of the rows, from 0 for row 1, by the text of their key; empty when none was asked for. The first holds. */
  readonly rows: ReadonlyMap<string, number>;
}

/**
 * A tab, read anew for each write: people sort it, and insert rows and columns, while we run, and a place that was remembered would be
 * another row's.
 */
export class Tab {
  readonly #path: string;
  readonly #title: string;
  readonly #key: string | null;
  #known: { readonly sheetId: string; readonly keyColumn: number | null } | null = null;

  /** `key`: the name of the column that rows are found by. */
  constructor(spreadsheetId: string, title: string, key: string | null) {
    this.#path = `/v4/spreadsheets/${spreadsheetId}`;
    this.#title = title;
    this.#key = key;
  }

  /** @throws TailraceError `destination.config`: there is no such tab, or it has no column of the key. */
  async read(session: Session): Promise<TabContent> {
    const sheetId = this.#known?.sheetId ?? (await this.#sheetId(session));
    let keyColumn = this.#known?.keyColumn ?? null;
    for (;;) {
      const [header = [], ...keys] = await this.#values(keyColumn, session);
      const columns = columnsOf(header);
      const place = this.#key === null ? null : columns.get(this.#key);
      if (place === undefined) throw noColumn(this.#title, this.#key ?? "");
      this.#known = { sheetId, keyColumn: place };
      if (place === keyColumn) return { sheetId, columns, rows: rowsOf(keys) };
      // It is elsewhere now.
      keyColumn = place;
    }
  }

  /** The names in row 1. */
  async header(session: Session): Promise<readonly string[]> {
    await this.#sheetId(session);
    const [header = []] = await this.#values(null, session);
    return [...columnsOf(header).keys()];
  }

  /** All of the requests are done, or none. False: what became of them is not said. */
  async change(requests: readonly string[], session: Session): Promise<boolean> {
    try {
      const answer = await session.request({
        method: "POST",
        path: `${this.#path}:batchUpdate`,
        body: `{"requests":[${requests.join(",")}]}`,
      });
      return memberList(answer.object(), "replies").length === requests.length;
    } catch (error) {
      // The tab may be another by now.
      this.#known = null;
      throw error;
    }
  }

  /** Row 1, then the cells of the key's column below it, each as a row of one cell. */
  async #values(keyColumn: number | null, session: Session): Promise<readonly unknown[]> {
    const title = `'${this.#title.replaceAll("'", "''")}'`;
    const ranges = [`${title}!1:1`];
    if (keyColumn !== null) ranges.push(`${title}!${letters(keyColumn)}2:${letters(keyColumn)}`);
    const query = ranges.map((range) => `ranges=${encodeURIComponent(range)}`).join("&");
    const answer = await session.request({
      method: "GET",
      path: `${this.#path}/values:batchGet?${query}&valueRenderOption=UNFORMATTED_VALUE`,
    });
    const [first, second] = memberList(answer.object(), "valueRanges");
    if (first === undefined) throw new TailraceError("destination.unknown", "The answer has no values");
    return [memberList(first, "values")[0] ?? [], ...memberList(second, "values")];
  }

  async #sheetId(session: Session): Promise<string> {
    const answer = await session.request({
      method: "GET",
      path: `${this.#path}?fields=sheets.properties(sheetId,title)`,
    });
    const sheets = memberList(answer.object(), "sheets").map((sheet) => member(sheet, "properties"));
    const sheet = sheets.find((properties) => memberText(properties, "title") === this.#title);
    if (sheet === undefined)
      throw new TailraceError(
        "destination.config",
        `The spreadsheet has no tab \`${this.#title}\`: make it, or correct \`object\``,
      );
    return memberText(sheet, "sheetId") ?? "0";
  }
}

export function noColumn(title: string, name: string): TailraceError {
  return new TailraceError("destination.config", `Row 1 of the tab \`${title}\` has no column \`${name}\``);
}

/** Of several of one name the first. */
function columnsOf(header: unknown): ReadonlyMap<string, number> {
  const columns = new Map<string, number>();
  for (const [place, cell] of (Array.isArray(header) ? header : []).entries()) {
    const name = cellText(cell);
    if (name !== "" && !columns.has(name)) columns.set(name, place);
  }
  return columns;
}

function rowsOf(keys: readonly unknown[]): ReadonlyMap<string, number> {
  const rows = new Map<string, number>();
  for (const [at, cells] of keys.entries()) {
    const key = cellText(Array.isArray(cells) ? (cells as unknown[])[0] : undefined);
    if (key !== "" && !rows.has(key)) rows.set(key, at + 1);
  }
  return rows;
}

/** A key that somebody typed may be a number. */
function cellText(cell: unknown): string {
  return typeof cell === "string" ? cell : typeof cell === "number" || typeof cell === "boolean" ? String(cell) : "";
}

/** 0 → `A`, 26 → `AA`. */
export function letters(column: number): string {
  const last = String.fromCodePoint(65 + (column % 26));
  return column < 26 ? last : letters(Math.floor(column / 26) - 1) + last;
}
