// Which files are which table.
import { readdir, stat } from "node:fs/promises";
import { basename, extname, join, resolve } from "node:path";
import { TailraceError } from "../../contracts/errors.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import type { Format, Settings, ViewOptions } from "./settings.ts";

/** A table made of data files. */
export interface View {
  readonly name: string;
  /** Absolute. */
  readonly patterns: readonly string[];
  readonly format: Format;
  readonly options: ViewOptions;
}

const ENDINGS: Readonly<Record<string, Format>> = {
  ".parquet": "parquet",
  ".csv": "csv",
  ".tsv": "csv",
  ".json": "json",
  ".ndjson": "json",
  ".jsonl": "json",
};
const COMPRESSED = /\.(gz|zst)$/i;

/** By the ending, compressed or not; null: no data file. */
export function formatOf(path: string): Format | null {
  return ENDINGS[extname(path.replace(COMPRESSED, "")).toLowerCase()] ?? null;
}

export interface Place {
  /** The database file; null: there is none. */
  readonly database: string | null;
  readonly views: readonly View[];
}

/** What `path` and `views` mean, as the disk is now. Throws `source.config` where nothing is. */
export async function placeOf(settings: Settings, baseDirectory: string): Promise<Place> {
  const path = settings.path === undefined ? null : resolve(baseDirectory, settings.path);
  const isFolder = path !== null && (await isDirectory(path));
  const views = isFolder ? await viewsOfFolder(path) : [];
  for (const [name, given] of Object.entries(settings.views)) {
    const { files, format, options } =
      typeof given === "string" ? { files: given, format: undefined, options: {} } : given;
    const patterns = (typeof files === "string" ? [files] : files).map((each) => resolve(baseDirectory, each));
    views.push(await viewOf(name, patterns, format, options));
  }
  return { database: isFolder ? null : path, views };
}

async function viewsOfFolder(folder: string): Promise<View[]> {
  const views: View[] = [];
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith(".") || entry.name.startsWith("_")) continue;
    const path = join(folder, entry.name);
    if (await isDirectory(path)) {
      const format = await formatInside(path);
      if (format !== null) views.push(await viewOf(entry.name, [path], format, {}));
    } else if (formatOf(entry.name) !== null) {
      const stem = basename(entry.name.replace(COMPRESSED, ""));
      views.push(await viewOf(stem.slice(0, -extname(stem).length), [path], undefined, {}));
    }
  }
  return views;
}

async function viewOf(
  name: string,
  patterns: readonly string[],
  given: Format | undefined,
  options: ViewOptions,
): Promise<View> {
  const [first = ""] = patterns;
  const format = given ?? formatOf(first) ?? (await formatInside(first));
  if (format === null) {
    throw new TailraceError(
      "source.config",
      `table ${name}: the ending of ${first} does not say what it is; give \`format: parquet\`, \`csv\` or \`json\``,
    );
  }
  const whole = await Promise.all(
    patterns.map(async (each) => ((await isDirectory(each)) ? inside(each, format) : [each])),
  );
  return { name, patterns: whole.flat(), format, options };
}

/** The format of the first data file in a folder, at any depth. */
async function formatInside(folder: string): Promise<Format | null> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  for (const name of names.sort((a, b) => (a < b ? -1 : 1))) {
    const format = formatOf(name);
    if (format !== null) return format;
  }
  return null;
}

function inside(folder: string, format: Format): string[] {
  const endings = Object.keys(ENDINGS).filter((ending) => ENDINGS[ending] === format);
  return endings.flatMap((ending) => [join(folder, "**", `*${ending}`), join(folder, "**", `*${ending}.{gz,zst}`)]);
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** `files`: those that the patterns match now, at least one. */
export function viewSql(view: View, files: readonly string[]): string {
  const options = Object.entries(view.options).map(([name, value]) => `, ${name} = ${valueSql(value)}`);
  const list = files.map(text).join(", ");
  return `CREATE OR REPLACE TEMP VIEW ${quoteIdentifier(view.name)} AS SELECT * FROM read_${view.format}([${list}]${options.join("")})`;
}

type Option = ViewOptions[string];

function valueSql(value: Option): string {
  if (typeof value === "string") return text(value);
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return `[${value.map(text).join(", ")}]`;
  return `{${Object.entries(value)
    .map(([name, each]) => `${text(name)}: ${text(each)}`)
    .join(", ")}}`;
}

/** DuckDB takes a backslash as it stands. */
function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
