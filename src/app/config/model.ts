import type { DiffSettings, Model, QueryModel, TableModel } from "../../contracts/model.ts";
import { type DbtProblem, type Manifest, readManifest } from "../dbt/manifest.ts";
import { type DbtOrigin, modelOf } from "../dbt/model.ts";
import { looksSecret, type Shown } from "./discretion.ts";
import { placeText, type Problem } from "./problem.ts";
import { flawOfCron, flawOfTimezone } from "./schedule.ts";
import type { ModelInput } from "./model-schema.ts";
import { SourceText } from "./source-text.ts";
import { isSqlFile, oneStatement } from "./sql-text.ts";
import { quotedList } from "./suggest.ts";
import { parseTableName } from "./table-name.ts";
import { type Entry, entryOf, type Flaw, nameOf, type Path, type Place, type Tree } from "./tree.ts";
import { shown } from "./wording.ts";

/** A model, and where it was declared. */
export type ConfiguredModel = Model & { readonly at: string };

/** Files that the configuration names. */
export interface NamedFiles {
  /** The file's text, whose places problems may then name; or what is wrong with the file. */
  read(path: string): Promise<SourceText | Problem>;
  /** Absolute, and as people read it. */
  locate(path: string): { readonly full: string; readonly shown: string };
}

/** The `dbt:` section. */
export interface DbtSection {
  readonly at: Place;
  /** As it is written; null: something is wrong with it, which was said. */
  readonly manifest: string | null;
}

/** What a model is read from. */
type Read =
  | Pick<TableModel, "kind" | "table" | "key">
  | Pick<QueryModel, "kind" | "sql" | "key" | "capture" | "windowMs">;

type Found = Read & Partial<Pick<DiffSettings, "whenChanged">>;

const DEFAULT_WINDOW_MS = 20;
const KINDS = ["table", "sql", "dbt"] as const;

/** What the keys of a model mean together. */
export class ModelReader {
  readonly #flaws: Flaw[];
  readonly #shown: Shown;
  readonly #files: NamedFiles;
  readonly #dbt: DbtSection | null;
  #manifest: Promise<Manifest | DbtProblem> | null = null;
  /** What models have from dbt, by their names. */
  readonly origins = new Map<string, DbtOrigin>();

  constructor(options: {
    readonly flaws: Flaw[];
    readonly shown: Shown;
    readonly files: NamedFiles;
    readonly dbt: DbtSection | null;
  }) {
    this.#flaws = options.flaws;
    this.#shown = options.shown;
    this.#files = options.files;
    this.#dbt = options.dbt;
  }

  /** null when something is wrong with it: the flaws then say what. */
  async read(name: string, entry: Entry, input: ModelInput): Promise<ConfiguredModel | null> {
    const model = new KeysOf(["models", name], entry, this.#flaws);
    const diff = readDiff(model, input);
    const key = readKey(model, input);
    const kind = oneKind(model);
    if (kind === null) return null;
    if (kind === "table") {
      for (const only of ["window", "capture"] as const)
        model.flawAtKey(only, `${model.name(only)} is for \`sql\` and \`dbt\` models`, `remove \`${only}\`.`);
    }
    const found = await {
      table: (): Found | null => readTable(model, input, key),
      sql: (): Promise<Found | null> => this.#sql(model, input, key),
      dbt: (): Promise<Found | null> => this.#fromDbt(name, model, input, key),
    }[kind]();
    if (found === null) return null;
    // Whoever asks for a diff on a schedule does not want it whenever a row changes.
    const isTimed = input.capture === "diff" && diff.schedule !== null;
    const { whenChanged = !isTimed, ...read } = found;
    return { ...read, name, source: input.source, diff: { ...diff, whenChanged }, at: placeText(entry.key) };
  }

  async #sql(model: KeysOf, input: ModelInput, key: readonly string[] | null): Promise<Read | null> {
    const tree = model.value("sql");
    const written = input.sql;
    if (tree === undefined || written === undefined) return null;
    if (key === null) {
      const message = `${model.name()} has \`sql\`, but no \`key\``;
      model.flaw(tree.place, "key", message, "add `key: COLUMN`: the columns of the result that tell its rows apart.");
    }
    const sql = isSqlFile(written) ? await this.#file(model, tree, written) : inline(model, tree, written);
    if (sql === null || key === null) return null;
    return { kind: "query", sql, key, capture: input.capture ?? "auto", windowMs: input.window ?? DEFAULT_WINDOW_MS };
  }

  async #file(model: KeysOf, tree: Tree, path: string): Promise<string | null> {
    const source = await this.#files.read(path);
    if (!(source instanceof SourceText)) {
      const where = source.line === 0 ? "" : `, at ${source.line}:${source.column}`;
      const message = `${model.name("sql")} names the file ${shownOf(tree, path)}, and ${source.message}${where}`;
      model.flaw(tree.place, "sql", message, source.fix ?? "check the file.");
      return null;
    }
    const read = oneStatement(source.text);
    if (read.ok) return read.sql;
    const place = source.place(read.start, read.end);
    const line = source.line(place.line);
    const isShown = !looksSecret(line.text);
    if (isShown) this.#shown.places.push({ ...place, start: line.start, end: line.start + line.text.length });
    const begins = isShown ? beginning(read.begins) : "";
    model.flaw(place, "sql", `the file of ${model.name("sql")} ${read.message}${begins}`, read.fix);
    return null;
  }

  async #fromDbt(name: string, model: KeysOf, input: ModelInput, key: readonly string[] | null): Promise<Found | null> {
    const tree = model.value("dbt");
    if (tree === undefined || input.dbt === undefined) return null;
    if (this.#dbt === null) {
      const message = `${model.name("dbt")} names a dbt model, but the configuration has no dbt project`;
      model.flaw(tree.place, "dbt", message, "add `dbt: { project: PATH }` at the top level.");
      return null;
    }
    const { at, manifest: path } = this.#dbt;
    if (path === null) return null;
    const { full, shown: displayed } = this.#files.locate(path);
    const manifest = await (this.#manifest ??= readManifest(full, displayed));
    if ("problem" in manifest) {
      this.#flaws.push({ place: at, path: ["dbt"], message: `\`dbt\` ${manifest.problem}`, fix: manifest.fix });
      return null;
    }
    const found = manifest.model(input.dbt);
    const wanted = { key, capture: input.capture ?? "auto", windowMs: input.window ?? DEFAULT_WINDOW_MS };
    const result = "node" in found ? modelOf(found.node, manifest, wanted) : found;
    if ("problem" in result) {
      const message = `the dbt model ${shownOf(tree, input.dbt)}, which ${model.name("dbt")} names, ${result.problem}`;
      model.flaw(tree.place, "dbt", message, result.fix);
      return null;
    }
    this.origins.set(name, result.origin);
    return result.whenChanged === false ? { ...result.read, whenChanged: false } : result.read;
  }
}

/** A model's keys and their places. */
class KeysOf {
  readonly #path: Path;
  readonly #flaws: Flaw[];
  readonly entry: Entry;

  constructor(path: Path, entry: Entry, flaws: Flaw[]) {
    this.#path = path;
    this.entry = entry;
    this.#flaws = flaws;
  }

  has(key: string): boolean {
    return entryOf(this.entry.value, key) !== undefined;
  }

  value(key: string): Tree | undefined {
    return entryOf(this.entry.value, key)?.value;
  }

  /** For messages. */
  name(key?: string): string {
    return nameOf(key === undefined ? this.#path : [...this.#path, key]);
  }

  flaw(place: Place, key: string, message: string, fix: string): void {
    this.#flaws.push({ place, path: [...this.#path, key], message, fix });
  }

  /** Where the key is, if it is. */
  flawAtKey(key: string, message: string, fix: string): void {
    const entry = entryOf(this.entry.value, key);
    if (entry !== undefined) this.flaw(entry.key, key, message, fix);
  }
}

function oneKind(model: KeysOf): (typeof KINDS)[number] | null {
  const [kind, another] = KINDS.filter((key) => model.has(key));
  if (kind === undefined) {
    const fix = "add `table: schema.name`, `sql:` with a SELECT or a `.sql` file, or `dbt:` with a dbt model.";
    model.flaw(model.entry.key, "table", `${model.name()} names nothing to read`, fix);
    return null;
  }
  if (another !== undefined) {
    const message = `${model.name()} has \`${kind}\` and \`${another}\`; it can have one`;
    model.flawAtKey(another, message, `remove \`${another}\`.`);
    return null;
  }
  return kind;
}

function readTable(model: KeysOf, input: ModelInput, key: readonly string[] | null): Read | null {
  const tree = model.value("table");
  if (tree === undefined || input.table === undefined) return null;
  const parsed = parseTableName(input.table);
  if (parsed.ok) return { kind: "table", table: parsed.table, key };
  model.flaw(tree.place, "table", `${model.name("table")} ${parsed.message}`, parsed.fix);
  return null;
}

function readKey(model: KeysOf, input: ModelInput): readonly string[] | null {
  const key = typeof input.key === "string" ? [input.key] : (input.key ?? null);
  if (key !== null && new Set(key).size < key.length) {
    const place = model.value("key")?.place ?? model.entry.key;
    model.flaw(place, "key", `${model.name("key")} lists a column twice`, "remove one of the two.");
  }
  return key;
}

function readDiff(model: KeysOf, input: ModelInput): Omit<DiffSettings, "whenChanged"> {
  const { every, cron, timezone = "UTC", diff_state: state } = input;
  if (every !== undefined && cron !== undefined)
    model.flawAtKey("cron", `${model.name()} has \`every\` and \`cron\`; it can have one`, "remove one of the two.");
  if (cron === undefined) {
    const fix = "add `cron`, or remove `timezone`.";
    model.flawAtKey("timezone", `${model.name("timezone")} is that of \`cron\`, which is missing`, fix);
  }
  for (const [key, flaw] of [
    ["cron", cron === undefined ? null : flawOfCron(cron)],
    ["timezone", flawOfTimezone(timezone)],
  ] as const) {
    if (flaw !== null)
      model.flaw(model.value(key)?.place ?? model.entry.key, key, `${model.name(key)} ${flaw.message}`, flaw.fix);
  }
  if (every !== undefined) return { schedule: { kind: "every", ms: every }, state };
  if (cron !== undefined) return { schedule: { kind: "cron", expression: cron, timezone }, state };
  return { schedule: null, state };
}

function inline(model: KeysOf, tree: Tree, text: string): string | null {
  const read = oneStatement(text);
  if (read.ok) return read.sql;
  const isShown = tree.kind === "scalar" && tree.variables.length === 0 && !looksSecret(text);
  const begins = isShown ? beginning(read.begins) : "";
  model.flaw(tree.place, "sql", `${model.name("sql")} ${read.message}${begins}`, read.fix);
  return null;
}

function beginning(word: string | null): string {
  return word === null ? "" : `; it begins with \`${word}\``;
}

/** The value for a message, unless a variable gave it. */
function shownOf(tree: Tree, text: string): string {
  const variables = tree.kind === "scalar" ? tree.variables : [];
  return variables.length > 0 ? `in the variable ${quotedList(variables)}` : shown(text);
}
