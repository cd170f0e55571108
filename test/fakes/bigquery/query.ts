// GoogleSQL as DuckDB's: tables become what they were at some time, or what changed in them; functions get DuckDB's names. What is not known here
// is refused as BigQuery refuses what it does not know.
import { catalogue, refuseChanges } from "./catalogue.ts";
import { invalidQuery, notFound } from "./errors.ts";
import { columnsOf, FOREVER, quoted, type Store, type Table } from "./store.ts";
import { type Token, tokensOf } from "./tokens.ts";
import { castType } from "./types.ts";
import { CLAUSES, FUNCTIONS, KEYWORDS } from "./words.ts";

export interface Translated {
  readonly sql: string;
  /** Tables and views, those of views too. */
  readonly tables: ReadonlySet<Table>;
  /** What is read, as SELECTs of DuckDB: for the bytes. */
  readonly reads: readonly string[];
}

export interface QueryContext {
  readonly store: Store;
  readonly project: string;
  /** When the query began, in µs. */
  readonly now: bigint;
  readonly parameters: Record<string, string | null>;
  /** Throws where the reader may not. `past`: its history. */
  readonly authorize: (table: Table, past: boolean) => void;
  readonly timeTravelUs: bigint;
}

export async function translate(sql: string, context: QueryContext): Promise<Translated> {
  return new Translation(sql, context).run();
}

class Translation {
  readonly #context: QueryContext;
  readonly #tokens: readonly Token[];
  readonly #out: string[] = [];
  readonly #tables = new Set<Table>();
  readonly #reads: string[] = [];
  /** At which time a table is read: one a statement. */
  readonly #times = new Map<Table, bigint>();
  readonly #named = new Set<string>();
  #at = 0;

  constructor(sql: string, context: QueryContext) {
    this.#context = context;
    this.#tokens = tokensOf(sql);
  }

  async run(): Promise<Translated> {
    const first = this.#word();
    if (first !== "SELECT" && first !== "WITH")
      throw invalidQuery(`Syntax error: Unexpected identifier "${this.#tokens[0]?.text ?? ""}" at [1:1]`);
    while (this.#at < this.#tokens.length) await this.#step();
    return { sql: this.#out.join(" "), tables: this.#tables, reads: this.#reads };
  }

  async #step(): Promise<void> {
    const word = this.#word();
    if (word === "FROM" || word === "JOIN") {
      this.#copy();
      await this.#source();
    } else if (this.#isCall()) await this.#call();
    else if (
      this.#tokens[this.#at]!.kind === "word" &&
      this.#word(1) === "AS" &&
      this.#text(2) === "(" &&
      this.#word(3) === "SELECT"
    ) {
      this.#named.add(this.#tokens[this.#at]!.text);
      this.#copy();
    } else this.#copy();
  }

  /** What comes behind FROM and JOIN. */
  async #source(): Promise<void> {
    const function_ = this.#text(1) === "(" ? this.#word() : "";
    if (this.#text() === "(") return;
    if (function_ === "CHANGES" || function_ === "APPENDS") return this.#changes(function_);
    if (function_ === "UNNEST") {
      this.#at += 2;
      const list = await this.#until(")");
      this.#at += 1;
      if (this.#word() === "AS") this.#at += 1;
      const alias = quoted(this.#next());
      this.#out.push(`(SELECT unnest(${list}) AS ${alias})`);
      return;
    }
    const path = this.#path();
    if (path.length === 1 && this.#named.has(path[0]!)) {
      this.#out.push(quoted(path[0]!));
      return;
    }
    const alias = this.#alias() ?? path.at(-1)!;
    const time = await this.#systemTime();
    this.#out.push(`(${await this.#relation(path, time)}) AS ${quoted(alias)}`);
  }

  #alias(): string | null {
    if (this.#word() === "AS") this.#at += 1;
    else if (this.#tokens[this.#at]?.kind !== "word" || KEYWORDS.test(this.#word())) return null;
    return this.#next();
  }

  async #systemTime(): Promise<bigint | null> {
    if (this.#word() !== "FOR" || this.#word(1) !== "SYSTEM_TIME") return null;
    // FOR SYSTEM_TIME AS OF
    this.#at += 4;
    return this.#instant(KEYWORDS);
  }

  async #relation(path: readonly string[], time: bigint | null): Promise<string> {
    const { store, now, timeTravelUs, authorize } = this.#context;
    const view = path.findIndex((part) => part.toUpperCase() === "INFORMATION_SCHEMA");
    if (view >= 0) return catalogue(store, path[view - 1]!, path[view + 1]!.toUpperCase());
    const table = this.#table(path);
    authorize(table, time !== null);
    if (table.type === "VIEW" || table.type === "MATERIALIZED_VIEW") {
      const inner = await translate(table.sql, this.#context);
      for (const each of inner.tables) this.#tables.add(each);
      this.#reads.push(...inner.reads);
      return inner.sql;
    }
    if (time !== null) {
      // https://docs.cloud.google.com/bigquery/docs/access-historical-data
      if (time > now)
        throw invalidQuery(
          `Invalid snapshot time ${time / 1000n} for table ${table.name}: it is in the future at [1:1]`,
        );
      if (time < now - timeTravelUs || time < table.createdUs)
        throw invalidQuery(
          `Invalid snapshot time ${time / 1000n} for table ${table.name}: it is before the table's time travel window at [1:1]`,
        );
      // A statement may read a table at one point in time only.
      if ((this.#times.get(table) ?? time) !== time)
        throw invalidQuery(`Table ${table.name} is referenced at more than one point in time at [1:1]`);
      this.#times.set(table, time);
    }
    const rows =
      time === null
        ? `SELECT ${columnsOf(table)} FROM ${table.rows} WHERE __to = ${FOREVER}`
        : `SELECT ${columnsOf(table)} FROM ${table.rows} WHERE __from <= ${time} AND __to > ${time}`;
    this.#reads.push(rows);
    return rows;
  }

  /** https://docs.cloud.google.com/bigquery/docs/reference/standard-sql/time-series-functions#changes */
  async #changes(name: "CHANGES" | "APPENDS"): Promise<void> {
    const { now, timeTravelUs, authorize } = this.#context;
    this.#at += 2;
    // The word TABLE must come before the table.
    if (this.#word() !== "TABLE") throw invalidQuery(`Table-valued function ${name} expects a TABLE argument at [1:1]`);
    this.#at += 1;
    const table = this.#table(this.#path());
    authorize(table, true);
    // Only an ordinary table has a change history.
    if (table.type !== "TABLE")
      throw invalidQuery(
        `${name} is not supported on ${table.type.toLowerCase().replace("_", " ")} ${table.name} at [1:1]`,
      );
    this.#at += 1;
    const start = (await this.#instant(/^,$/)) ?? table.createdUs;
    this.#at += 1;
    // NULL: up to the beginning of the query.
    const end = (await this.#instant(/^\)$/)) ?? now;
    this.#at += 1;
    if (end > now) throw invalidQuery(`${name}: end_timestamp must not be in the future at [1:1]`);
    if (start < now - timeTravelUs)
      throw invalidQuery(`${name}: start_timestamp is earlier than allowed by time travel at [1:1]`);
    if (name === "CHANGES") refuseChanges(table, start, end);
    const types = name === "APPENDS" ? ` AND __type = 'INSERT'` : "";
    const half = name === "APPENDS" ? "" : ", __half AS _CHANGE_IS_FOR_UPDATE";
    const rows = `SELECT ${columnsOf(table)}, __type AS _CHANGE_TYPE, make_timestamptz(__at) AS _CHANGE_TIMESTAMP${half} FROM ${table.log} WHERE __at >= ${start} AND __at < ${end}`;
    // Both process all that was written in that time.
    this.#reads.push(rows);
    this.#out.push(`(${rows}${types}) AS ${quoted(this.#alias() ?? name)}`);
  }

  #table(path: readonly string[]): Table {
    const { store, project } = this.#context;
    const parts = path.length === 1 ? path[0]!.split(".") : [...path];
    const name = parts.slice(-2).join(".");
    const table = parts.length === 3 && parts[0] !== project ? undefined : store.tables.get(name);
    if (table === undefined) throw notFound(`Table ${project}:${name} was not found in location US`);
    this.#tables.add(table);
    return table;
  }

  #path(): string[] {
    const path = [this.#next()];
    while (this.#text() === ".") {
      this.#at += 1;
      path.push(this.#next());
    }
    return path;
  }

  /** A constant expression up to a token that matches; null: NULL. */
  async #instant(end: RegExp): Promise<bigint | null> {
    const inner: string[] = [];
    for (let depth = 0; this.#at < this.#tokens.length;) {
      const text = this.#text();
      if (depth === 0 && (end.test(text) || text === ")")) break;
      if (text === "(") depth += 1;
      if (text === ")") depth -= 1;
      inner.push(await this.#piece());
    }
    const { rows } = await this.#context.store.run(
      `SELECT CAST(epoch_us(CAST(${inner.join(" ")} AS TIMESTAMPTZ)) AS VARCHAR)`,
    );
    const us = rows[0]![0] as string | null;
    return us === null ? null : BigInt(us);
  }

  async #until(end: string): Promise<string> {
    const inner: string[] = [];
    for (let depth = 0; depth > 0 || this.#text() !== end;) {
      if (this.#text() === "(") depth += 1;
      if (this.#text() === ")") depth -= 1;
      inner.push(await this.#piece());
    }
    return inner.join(" ");
  }

  /** One step, apart from what was put out before. */
  async #piece(): Promise<string> {
    const before = this.#out.length;
    await this.#step();
    return this.#out.splice(before).join(" ");
  }

  #isCall(): boolean {
    const { kind } = this.#tokens[this.#at]!;
    if (kind !== "word" || CLAUSES.test(this.#word())) return false;
    return this.#text(1) === "(" || (this.#word() === "SAFE" && this.#text(1) === ".");
  }

  async #call(): Promise<void> {
    const { at } = this.#tokens[this.#at]!;
    const name = this.#text(1) === "." ? `SAFE.${this.#word(2)}` : this.#word();
    if (name === "CURRENT_TIMESTAMP" && this.#text(2) === ")") {
      this.#at += 3;
      this.#out.push(`make_timestamptz(${this.#context.now})`);
      return;
    }
    const known = FUNCTIONS[name];
    if (known === undefined) throw invalidQuery(`Function not found: ${name} at [1:${at + 1}]`);
    this.#at += name.startsWith("SAFE.") ? 3 : 1;
    if (name === "CAST" || name === "SAFE_CAST") await this.#cast(known!);
    else this.#out.push(known ?? name);
  }

  /** `CAST(x AS STRING)` prints as BigQuery does; other types get DuckDB's names. */
  async #cast(function_: string): Promise<void> {
    this.#at += 1;
    const inner: string[] = [];
    for (let depth = 0; depth > 0 || this.#word() !== "AS";) {
      if (this.#text() === "(") depth += 1;
      if (this.#text() === ")") depth -= 1;
      inner.push(await this.#piece());
    }
    const type = this.#word(1);
    const stored = castType(type);
    if (stored === null) throw invalidQuery(`Type not found: ${type} at [1:1]`);
    this.#at += 3;
    const value = inner.join(" ");
    this.#out.push(type === "STRING" ? `bq_text(${value})` : `${function_}(${value} AS ${stored})`);
  }

  #copy(): void {
    this.#out.push(rendered(this.#tokens[this.#at]!));
    this.#at += 1;
  }

  #next(): string {
    const text = this.#text();
    this.#at += 1;
    return text;
  }

  #text(ahead = 0): string {
    return this.#tokens[this.#at + ahead]?.text ?? "";
  }

  #word(ahead = 0): string {
    const token = this.#tokens[this.#at + ahead];
    return token?.kind === "word" ? token.text.toUpperCase() : "";
  }
}

function rendered({ kind, text }: Token): string {
  switch (kind) {
    case "name":
      return text.split(".").map(quoted).join(".");
    case "text":
      return `'${text.replaceAll("'", "''")}'`;
    case "parameter":
      return `$${text}`;
    default:
      return text;
  }
}
