// Google Sheets, from its public description: a tab's grid, values.batchGet, batchUpdate that is done whole or not at all, a service
// account's token. https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets/batchUpdate, …/request#UpdateCellsRequest,
// …/api/limits, https://developers.google.com/identity/protocols/oauth2/service-account
import { type KeyObject, generateKeyPairSync, verify } from "node:crypto";
import { JsonNumber, parseExact, plainText } from "../support/exact-json.ts";
import { type MockAnswer, type MockRequest, MockVendor } from "../support/mock.ts";

export type CellValue = string | boolean | JsonNumber | null;
type Grid = CellValue[][];
type Json = Readonly<Record<string, unknown>>;

const MOST_CHARACTERS = 50_000;
const MOST_BYTES = 10_000_000;
const SCOPE = "https://www.googleapis.com/auth/spreadsheets";
const EMAIL = "tailrace@acme.iam.gserviceaccount.com";

const keys = [0, 1].map(() => generateKeyPairSync("rsa", { modulusLength: 2048 }));

export class GoogleSheetsMock implements AsyncDisposable {
  server!: MockVendor;
  readonly spreadsheetId = "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgVE2upms";
  /** Of every tab together. */
  mostCells = 10_000_000;
  readonly #secret: string;
  readonly #tabs = new Map<string, { readonly id: number; grid: Grid }>();
  #generation = 0;
  #accessToken = "";

  private constructor(secret: string) {
    this.#secret = secret;
  }

  static async start(secret: string): Promise<GoogleSheetsMock> {
    const mock = new GoogleSheetsMock(secret);
    mock.server = await MockVendor.start({ answer: (request) => mock.#answer(request) });
    return mock;
  }

  /** The key file that is good now, in one line. */
  get key(): string {
    const { privateKey } = keys[this.#generation]!;
    return JSON.stringify({
      type: "service_account",
      private_key_id: `${this.#secret}-${this.#generation}`,
      private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
      client_email: EMAIL,
      token_uri: `${this.server.url}/token`,
    });
  }

  rotate(): string {
    this.#generation = 1;
    this.#accessToken = "";
    return this.key;
  }

  setTab(title: string, rows: readonly (readonly CellValue[])[]): void {
    const id = this.#tabs.get(title)?.id ?? 100 + this.#tabs.size;
    this.#tabs.set(title, { id, grid: rows.map((row) => [...row]) });
  }

  removeTab(title: string): void {
    this.#tabs.delete(title);
  }

  grid(title: string): Grid {
    return this.#tabs.get(title)!.grid;
  }

  /** The rows below the names, without empty cells at their ends. */
  rows(title: string): readonly Readonly<Record<string, string | null>>[] {
    const [names = [], ...rows] = this.grid(title);
    return rows
      .filter((row) => row.some((cell) => !isEmpty(cell)))
      .map((row) =>
        Object.fromEntries(
          names.map((name, at) => [plainText(name) ?? "", isEmpty(row[at]) ? null : plainText(row[at])]),
        ),
      );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }

  #answer(request: MockRequest): MockAnswer {
    const { path, method, headers, body, query } = request;
    if (path[0] === "token") return this.#token(new URLSearchParams(body));
    if (this.#accessToken === "" || headers["authorization"] !== `Bearer ${this.#accessToken}`)
      return problem(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.");
    const [id, action] = (path[2] ?? "").split(":");
    if (path[0] !== "v4" || id !== this.spreadsheetId)
      return problem(404, "NOT_FOUND", "Requested entity was not found.");
    if (method === "GET" && path[3] === "values:batchGet") return this.#values(query.getAll("ranges"));
    if (method === "GET" && path.length === 3) {
      const sheets = [...this.#tabs].map(([title, tab]) => ({ properties: { sheetId: tab.id, title } }));
      return { status: 200, body: query.get("fields") === "spreadsheetId" ? { spreadsheetId: id } : { sheets } };
    }
    if (method !== "POST" || action !== "batchUpdate") return problem(404, "NOT_FOUND", "Unknown method");
    if (Buffer.byteLength(body) > MOST_BYTES)
      return problem(413, "INVALID_ARGUMENT", "Request payload size exceeds the limit.");
    return this.#change((parseExact(body) as { requests: readonly Json[] }).requests);
  }

  #token(form: URLSearchParams): MockAnswer {
    const [head = "", claims = "", signature = ""] = (form.get("assertion") ?? "").split(".");
    const { iss, scope, aud, exp } = JSON.parse(Buffer.from(claims, "base64url").toString() || "{}") as Record<
      string,
      unknown
    >;
    const { publicKey } = keys[this.#generation] as { publicKey: KeyObject };
    const signed = verify("sha256", Buffer.from(`${head}.${claims}`), publicKey, Buffer.from(signature, "base64url"));
    const right =
      iss === EMAIL && scope === SCOPE && aud === `${this.server.url}/token` && Number(exp) * 1000 > Date.now();
    if (!signed || !right || form.get("grant_type") !== "urn:ietf:params:oauth:grant-type:jwt-bearer")
      return { status: 400, body: { error: "invalid_grant", error_description: "Invalid JWT Signature." } };
    this.#accessToken ||= `ya29.${this.#secret}-${this.#generation}`;
    return { status: 200, body: { access_token: this.#accessToken, expires_in: 3599, token_type: "Bearer" } };
  }

  #values(ranges: readonly string[]): MockAnswer {
    const valueRanges: unknown[] = [];
    for (const range of ranges) {
      const [, quoted = "", first, row = "", last] = /^'((?:[^']|'')*)'!([A-Z]*)(\d+):([A-Z]*)\d*$/.exec(range) ?? [];
      const tab = this.#tabs.get(quoted.replaceAll("''", "'"));
      if (tab === undefined) return problem(400, "INVALID_ARGUMENT", `Unable to parse range: ${range}`);
      if (first === "") valueRanges.push({ range, values: withoutEnd([(tab.grid[Number(row) - 1] ?? []).map(shown)]) });
      else if (first === last) {
        const cells = tab.grid.slice(Number(row) - 1).map((cellsOfRow) => [shown(cellsOfRow[columnOf(first!)])]);
        valueRanges.push({ range, values: withoutEnd(cells) });
      } else return problem(400, "INVALID_ARGUMENT", `Unable to parse range: ${range}`);
    }
    return { status: 200, body: { spreadsheetId: this.spreadsheetId, valueRanges } };
  }

  #change(requests: readonly Json[]): MockAnswer {
    // On copies, which take the place of the tabs when all went well.
    const tabs = new Map([...this.#tabs.values()].map(({ id, grid }) => [String(id), grid.map((row) => [...row])]));
    for (const [at, request] of requests.entries()) {
      const refusal = apply(request, tabs);
      if (refusal !== null) return problem(400, "INVALID_ARGUMENT", `Invalid requests[${at}]: ${refusal}`);
    }
    let cells = 0;
    for (const grid of tabs.values()) cells += grid.length * Math.max(0, ...grid.map((row) => row.length));
    if (cells > this.mostCells) {
      const said = `This action would increase the number of cells in the workbook above the limit of ${this.mostCells} cells.`;
      return problem(400, "INVALID_ARGUMENT", `Invalid requests[0]: ${said}`);
    }
    for (const tab of this.#tabs.values()) tab.grid = tabs.get(String(tab.id))!;
    return { status: 200, body: { spreadsheetId: this.spreadsheetId, replies: requests.map(() => ({})) } };
  }
}

/** What is wrong with the request; null: it is done. */
function apply(request: Json, tabs: ReadonlyMap<string, Grid>): string | null {
  const [kind, given] = Object.entries(request)[0] as [string, Json];
  const range = (given["range"] ?? given["start"] ?? given) as Json;
  const grid = tabs.get(numberOf(range["sheetId"]).toString());
  if (grid === undefined) return `No grid with id: ${numberOf(range["sheetId"])}`;
  if (kind === "deleteDimension") {
    const [start, end] = [numberOf(range["startIndex"]), numberOf(range["endIndex"])];
    if (range["dimension"] !== "ROWS" || start >= end || end > grid.length) return "deleteDimension is out of the grid";
    grid.splice(start, end - start);
    return null;
  }
  if (given["fields"] !== "userEnteredValue") return "fields is required";
  const rows = (given["rows"] as readonly { values: readonly Json[] }[]).map(({ values }) => values.map(entered));
  const long = rows.flat().find((cell) => typeof cell === "string" && cell.length > MOST_CHARACTERS);
  if (long !== undefined)
    return `Your input contains more than the maximum of ${MOST_CHARACTERS} characters in a single cell: ${long as string}`;
  if (kind === "appendCells") {
    while (grid.length > 0 && grid.at(-1)!.every(isEmpty)) grid.pop();
    grid.push(...rows);
    return null;
  }
  if (kind !== "updateCells") return `Unknown name "${kind}"`;
  const [row, column] = [numberOf(range["rowIndex"]), numberOf(range["columnIndex"])];
  if (row + rows.length > grid.length) return `Range exceeds grid limits. Max rows: ${grid.length}`;
  for (const [down, cells] of rows.entries())
    for (const [right, cell] of cells.entries()) grid[row + down]![column + right] = cell;
  return null;
}

function entered(cell: Json): CellValue {
  const value = (cell["userEnteredValue"] ?? {}) as Json;
  const { stringValue, numberValue, boolValue } = value as Record<string, CellValue | undefined>;
  if (numberValue instanceof JsonNumber && numberValue.text.replaceAll(/[-.]/g, "").replace(/^0+/, "").length > 15)
    return new JsonNumber(String(Number(numberValue.text)));
  return stringValue ?? numberValue ?? boolValue ?? null;
}

function isEmpty(cell: CellValue | undefined): boolean {
  return cell === null || cell === undefined || cell === "";
}

function shown(cell: CellValue | undefined): unknown {
  return cell instanceof JsonNumber ? Number(cell.text) : (cell ?? "");
}

/** Google leaves out empty rows at the end, and empty cells at the end of a row. */
function withoutEnd(rows: readonly (readonly unknown[])[]): unknown[][] {
  const cut = rows.map((row) => row.slice(0, row.findLastIndex((cell) => cell !== "") + 1));
  return cut.slice(0, cut.findLastIndex((row) => row.length > 0) + 1);
}

function columnOf(name: string): number {
  return Array.from(name).reduce((sum, letter) => sum * 26 + letter.codePointAt(0)! - 64, 0) - 1;
}

function numberOf(value: unknown): number {
  return value instanceof JsonNumber ? Number(value.text) : NaN;
}

function problem(code: number, status: string, message: string): MockAnswer {
  return { status: code, body: { error: { code, message, status } } };
}

export function tooMany(seconds: number): MockAnswer {
  const message = "Quota exceeded for quota metric 'Write requests' and limit 'Write requests per minute per user'";
  return { ...problem(429, "RESOURCE_EXHAUSTED", message), headers: { "retry-after": String(seconds) } };
}
