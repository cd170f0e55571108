// A SQL warehouse: its tables, and what it answers to a statement.
import { type DeltaColumn, DeltaTable, type TableOptions } from "./delta-table.ts";
import { type Catalogue, Engine, type Result } from "./engine.ts";
import { badSyntax, DatabricksRefusal, noTable } from "./refusal.ts";
import { isWord, nameAt, tokensOf } from "./tokens.ts";

const CATALOG = "main";
const SCHEMA = "default";

export class FakeWarehouse implements Catalogue {
  readonly all = new Map<string, DeltaTable>();
  /** Of materialized views and streaming tables, it is not documented that DESCRIBE DETAIL works. */
  describesViews = false;
  /** Names that SELECT is not granted on. */
  readonly forbidden = new Set<string>();
  readonly #engine: Engine[] = [];

  static async start(): Promise<FakeWarehouse> {
    const warehouse = new FakeWarehouse();
    warehouse.#engine.push(await Engine.make(warehouse));
    return warehouse;
  }

  /** CREATE OR REPLACE … after a DROP: another table, with a history of its own. `name`: `schema.table`. */
  create(name: string, options: TableOptions): DeltaTable {
    const table = new DeltaTable(options);
    this.all.set(fullName(name.split(".")), table);
    return table;
  }

  drop(name: string): void {
    this.all.delete(fullName(name.split(".")));
  }

  find(parts: readonly string[]): DeltaTable | null {
    const name = fullName(parts);
    if (this.forbidden.has(name))
      throw new DatabricksRefusal(
        "INSUFFICIENT_PERMISSIONS",
        `Insufficient privileges: User does not have permission SELECT on Table \`${name}\`.`,
        "42501",
      );
    return this.all.get(name) ?? null;
  }

  close(): void {
    for (const engine of this.#engine) engine.close();
  }

  async execute(sql: string, parameters: Readonly<Record<string, string>>): Promise<Result> {
    const tokens = tokensOf(sql);
    // The fake's instants are in UTC whatever a session says; that each session says it, a test sees to.
    if (isWord(tokens[0], "SET") && isWord(tokens[1], "TIME") && isWord(tokens[2], "ZONE"))
      return {
        columns: ["key", "value"],
        types: ["string", "string"],
        rows: [["spark.sql.session.timeZone", tokens[3]!.value]],
      };
    if (!isWord(tokens[0], "DESCRIBE")) return this.#engine[0]!.run(sql, parameters);
    const what = tokens[1]?.value.toUpperCase();
    if (what === "QUERY") {
      const columns = await this.#engine[0]!.describe(sql.replace(/^\s*DESCRIBE\s+QUERY\s+/i, ""));
      return described(columns);
    }
    const name = nameAt(tokens, 2);
    if (name === null || (what !== "HISTORY" && what !== "DETAIL")) throw badSyntax(what ?? "");
    const table = this.find(name.parts);
    if (table === null) throw noTable(name.parts.join("."));
    if (table.kind === "VIEW")
      throw new DatabricksRefusal(
        "EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE",
        `'DESCRIBE ${what}' expects a table but \`${name.parts.join("`.`")}\` is a view.`,
        "42809",
      );
    if (what === "HISTORY") {
      const limit = isWord(tokens[name.end], "LIMIT") ? Number(tokens[name.end + 1]?.value) : Infinity;
      return history(table, limit);
    }
    if (table.kind !== "TABLE" && !this.describesViews)
      throw new DatabricksRefusal(
        "EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE",
        "'DESCRIBE DETAIL' expects a table.",
        "42809",
      );
    return {
      columns: ["format", "id", "name", "properties"],
      types: ["string", "string", "string", "map"],
      rows: [["delta", table.id, name.parts.join("."), JSON.stringify(table.properties)]],
    };
  }
}

/** docs.databricks.com/tables/history-schema: the newest first. */
function history(table: DeltaTable, limit: number): Result {
  const versions = table.versions.toReversed().slice(0, limit);
  return {
    columns: ["version", "timestamp", "operation"],
    types: ["bigint", "timestamp", "string"],
    rows: versions.map(({ number, atMicros, operation }) => [
      String(number),
      new Date(Number(atMicros / 1000n)).toISOString(),
      operation,
    ]),
  };
}

function described(columns: readonly DeltaColumn[]): Result {
  return {
    columns: ["col_name", "data_type", "comment"],
    types: ["string", "string", "string"],
    rows: columns.map(({ name, type }) => [name, type, null]),
  };
}

function fullName(parts: readonly string[]): string {
  const missing = [CATALOG, SCHEMA].slice(0, Math.max(0, 3 - parts.length));
  return [...missing, ...parts].join(".").toLowerCase();
}
