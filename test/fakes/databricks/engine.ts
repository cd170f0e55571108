// SELECTs of Databricks over versioned tables, run by DuckDB: each table that one reads is made there as it was at its version.
import { type DuckDBConnection, DuckDBInstance, LIST, listValue, VARCHAR } from "@duckdb/node-api";
import { JSON_OPTIONS } from "../../../src/sources/databricks/types.ts";
import type { DeltaColumn, DeltaTable, TextRow } from "./delta-table.ts";
import { badSyntax, DatabricksRefusal, noTable } from "./refusal.ts";
import { isWord, nameAt, type Token, tokensOf } from "./tokens.ts";

export interface Catalogue {
  /** By `catalog.schema.table`, in small letters; shorter names are completed. */
  find(parts: readonly string[]): DeltaTable | null;
  readonly all: ReadonlyMap<string, DeltaTable>;
}

export interface Result {
  readonly columns: readonly string[];
  readonly types: readonly string[];
  readonly rows: readonly TextRow[];
}

const FEED: readonly DeltaColumn[] = [
  { name: "_change_type", type: "string" },
  { name: "_commit_version", type: "bigint" },
  { name: "_commit_timestamp", type: "timestamp" },
];

const WORDS: Readonly<Record<string, string>> = { STRING: "VARCHAR", BINARY: "BLOB", TIMESTAMP_NTZ: "TIMESTAMP" };

export class Engine {
  readonly #connection: DuckDBConnection;
  readonly #catalogue: Catalogue;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(connection: DuckDBConnection, catalogue: Catalogue) {
    this.#connection = connection;
    this.#catalogue = catalogue;
  }

  static async make(catalogue: Catalogue): Promise<Engine> {
    const connection = await (await DuckDBInstance.create(":memory:")).connect();
    await connection.run("SET TimeZone = 'UTC'");
    // Functions that DuckDB has under another name.
    await connection.run("CREATE MACRO unix_micros(x) AS epoch_us(x)");
    await connection.run("CREATE MACRO try_to_binary(x, f) AS unhex(x)");
    return new Engine(connection, catalogue);
  }

  close(): void {
    this.#connection.closeSync();
  }

  /** Every value as Databricks' text of it. One statement at a time: the tables that it reads are its own. */
  run(sql: string, parameters: Readonly<Record<string, string>>): Promise<Result> {
    return this.#turn(() => this.#select(sql, parameters));
  }

  /** `DESCRIBE QUERY`: names and types, without reading a row. */
  describe(sql: string): Promise<readonly DeltaColumn[]> {
    return this.#turn(async () => {
      const whole = this.#wholeTable(tokensOf(sql));
      if (whole !== null) return whole;
      const { columns, types } = await this.#select(`${sql} LIMIT 0`, {});
      return columns.map((name, place) => ({ name, type: databricksType(types[place]!) }));
    });
  }

  #turn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(work, work);
    this.#queue = turn.catch(() => {});
    return turn;
  }

  async #select(sql: string, parameters: Readonly<Record<string, string>>): Promise<Result> {
    // DuckDB leaves nothing out of JSON, and has no options for it.
    const tokens = tokensOf(sql.replaceAll(`, ${JSON_OPTIONS}`, ""));
    if (!isWord(tokens[0], "SELECT") && !isWord(tokens[0], "WITH")) throw badSyntax(tokens[0]?.value ?? "");
    const made: string[] = [];
    try {
      const translated = await this.#translate(tokens, parameters, made);
      const reader = await this.#connection.runAndReadAll(translated).catch((error: Error) => {
        throw asRefusal(error);
      });
      const types = reader.columnTypes().map(String);
      const rows = reader.getRows().map((row) => row.map((value) => (value === null ? null : String(value))));
      return { columns: reader.columnNames(), types, rows };
    } finally {
      for (const name of made) await this.#connection.run(`DROP TABLE IF EXISTS ${name}`);
    }
  }

  /** The columns of `SELECT * FROM` one table: DuckDB does not know all of Databricks' types. */
  #wholeTable(tokens: readonly Token[]): readonly DeltaColumn[] | null {
    if (!isWord(tokens[0], "SELECT") || tokens[1]?.value !== "*" || !isWord(tokens[2], "FROM")) return null;
    const changes = this.#changesAt(tokens, 3);
    if (changes !== null) return changes.end === tokens.length ? [...changes.columns, ...FEED] : null;
    const read = this.#tableAt(tokens, 3);
    return read === null || read.end !== tokens.length ? null : read.version.columns;
  }

  async #translate(
    tokens: readonly Token[],
    parameters: Readonly<Record<string, string>>,
    made: string[],
  ): Promise<string> {
    const parts: string[] = [];
    for (let at = 0; at < tokens.length; at += 1) {
      const token = tokens[at]!;
      const begins = isWord(tokens[at - 1], "FROM") || isWord(tokens[at - 1], "JOIN");
      if (begins) {
        const changes = this.#changesAt(tokens, at);
        const read = changes === null ? this.#tableAt(tokens, at) : null;
        if (changes !== null) parts.push(await this.#make(made, [...changes.columns, ...FEED], changes.rows));
        else if (read !== null) parts.push(await this.#make(made, read.version.columns, read.version.rows));
        const end = changes?.end ?? read?.end;
        if (end !== undefined) {
          at = end - 1;
          continue;
        }
      }
      parts.push(this.#token(token, tokens[at + 1], parameters));
    }
    return parts.join(" ");
  }

  #token({ kind, value }: Token, next: Token | undefined, parameters: Readonly<Record<string, string>>): string {
    switch (kind) {
      case "name":
        return `"${value.replaceAll('"', '""')}"`;
      case "text":
        return literal(structOf(value));
      case "parameter": {
        const text = parameters[value];
        if (text === undefined)
          throw new DatabricksRefusal("UNBOUND_SQL_PARAMETER", `Found the unbound parameter: ${value}.`, "42P02");
        return literal(text);
      }
      case "word":
        if (value.toLowerCase() === "explode" && next?.value === "(") return "unnest";
        return WORDS[value.toUpperCase()] ?? value;
      default:
        return value;
    }
  }

  /** `table_changes('name', first, last)` from a place on. */
  #changesAt(tokens: readonly Token[], at: number) {
    if (!isWord(tokens[at], "TABLE_CHANGES")) return null;
    const [open, name, , first, , last, close] = tokens.slice(at + 1, at + 8);
    if (
      open?.value !== "(" ||
      name?.kind !== "text" ||
      first?.kind !== "number" ||
      last?.kind !== "number" ||
      close?.value !== ")"
    )
      throw badSyntax("table_changes");
    const table = this.#catalogue.find(nameAt(tokensOf(name.value), 0)?.parts ?? []);
    if (table === null) throw noTable(name.value);
    const { columns, versions } = table.changes(Number(first.value), Number(last.value));
    const rows = versions.flatMap((version) =>
      version.changes.map(({ type, row }) => [
        ...columns.map((_, place) => row[place] ?? null),
        type,
        String(version.number),
        timestamp(version.atMicros),
      ]),
    );
    return { columns, rows, end: at + 8 };
  }

  /** A table, at its newest or at a given version. null: it is none of ours (a subquery, a name of WITH). */
  #tableAt(tokens: readonly Token[], at: number) {
    const name = nameAt(tokens, at);
    if (name === null) return null;
    const inCatalogue = name.parts.at(-2)?.toLowerCase() === "information_schema";
    if (inCatalogue) return { version: this.#catalogueView(name.parts.at(-1)!.toLowerCase()), end: name.end };
    const table = this.#catalogue.find(name.parts);
    if (table === null) {
      if (name.parts.length > 1) throw noTable(name.parts.map((part) => `\`${part}\``).join("."));
      return null;
    }
    const [version, as, of, number] = tokens.slice(name.end, name.end + 4);
    if (!isWord(version, "VERSION") || !isWord(as, "AS") || !isWord(of, "OF"))
      return { version: table.newest, end: name.end };
    return { version: table.at(Number(number?.value)), end: name.end + 4 };
  }

  #catalogueView(view: string): { readonly columns: readonly DeltaColumn[]; readonly rows: readonly TextRow[] } {
    const text = (...names: string[]) => names.map((name) => ({ name, type: "string" }));
    const tables = [...this.#catalogue.all].map(([name, table]) => ({ place: name.split("."), table }));
    const keyed = tables.filter(({ table }) => table.primaryKey.length > 0);
    const constraint = ([, schema, name]: readonly string[]): string[] => [schema!, `${name!}_pk`];
    switch (view) {
      case "tables":
        return {
          columns: [...text("table_schema", "table_name", "table_type"), { name: "created", type: "timestamp" }],
          rows: tables.map(({ place, table }) => [
            place[1]!,
            place[2]!,
            table.kind === "TABLE" ? "MANAGED" : table.kind,
            timestamp(table.createdMicros),
          ]),
        };
      case "table_constraints":
        return {
          columns: text("constraint_schema", "constraint_name", "constraint_type", "table_schema", "table_name"),
          rows: keyed.map(({ place }) => [...constraint(place), "PRIMARY KEY", place[1]!, place[2]!]),
        };
      case "key_column_usage":
        return {
          columns: [
            ...text("constraint_schema", "constraint_name", "column_name"),
            { name: "ordinal_position", type: "int" },
          ],
          rows: keyed.flatMap(({ place, table }) =>
            table.primaryKey.map((column, index) => [...constraint(place), column, String(index + 1)]),
          ),
        };
      default:
        throw noTable(`information_schema.${view}`);
    }
  }

  async #make(made: string[], columns: readonly DeltaColumn[], rows: readonly TextRow[]): Promise<string> {
    const name = `"read_${made.length}"`;
    made.push(name);
    const definition = columns.map((column) => `"${column.name.replaceAll('"', '""')}" ${duckdbType(column.type)}`);
    await this.#connection.run(`CREATE TEMP TABLE ${name} (${definition.join(", ")})`);
    if (rows.length > 0) {
      const lists = columns.map((_, place) => listValue(rows.map((row) => row[place] ?? null)));
      const unnested = columns.map((_, place) => `unnest($${place + 1}) AS c${place}`);
      const cast = columns.map(({ type }, place) =>
        type === "binary" ? `unhex(c${place})` : `CAST(c${place} AS ${duckdbType(type)})`,
      );
      await this.#connection.run(
        `INSERT INTO ${name} SELECT ${cast.join(", ")} FROM (SELECT ${unnested.join(", ")})`,
        lists,
        // A list that begins with null does not say of what it is.
        lists.map(() => LIST(VARCHAR)),
      );
    }
    return name;
  }
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** The schema text of `from_json`, as DuckDB writes one. */
function structOf(text: string): string {
  const fields = /^ARRAY<STRUCT<(.*)>>$/.exec(text)?.[1];
  if (fields === undefined) return text;
  const list = fields.split(",").map((field) => `"${field.split(":")[0]!.trim()}":"VARCHAR"`);
  return `[{${list.join(",")}}]`;
}

const TYPES: Readonly<Record<string, string>> = {
  string: "VARCHAR",
  int: "INTEGER",
  binary: "BLOB",
  timestamp: "TIMESTAMP",
  timestamp_ntz: "TIMESTAMP",
};

function duckdbType(type: string): string {
  if (/^(array|map|struct|variant)/.test(type)) return "JSON";
  return TYPES[type] ?? type.toUpperCase();
}

function databricksType(type: string): string {
  const lower = type.toLowerCase();
  return (
    { varchar: "string", integer: "int", blob: "binary", json: "variant", hugeint: "decimal(38,0)" }[lower] ?? lower
  );
}

function timestamp(micros: bigint): string {
  const [date] = new Date(Number(micros / 1000n)).toISOString().split("Z");
  return `${date!.replace("T", " ").slice(0, -4)}.${String(micros % 1_000_000n).padStart(6, "0")}`;
}

function asRefusal(error: Error): Error {
  const { message } = error;
  if (/^Binder Error.*(column|Referenced)/s.test(message))
    return new DatabricksRefusal("UNRESOLVED_COLUMN.WITHOUT_SUGGESTION", `A column cannot be resolved.`, "42703");
  if (/^Catalog Error.*Table/s.test(message)) return noTable(/Table with name (\S+)/.exec(message)?.[1] ?? "");
  if (message.startsWith("Parser Error")) return badSyntax(/near "(.*?)"/.exec(message)?.[1] ?? "");
  if (message.startsWith("Conversion Error"))
    return new DatabricksRefusal("CAST_INVALID_INPUT", "A value cannot be cast.", "22018");
  return error;
}
