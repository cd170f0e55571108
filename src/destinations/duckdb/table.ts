// What the target table looks like, from the database's own catalogue.
import { TailraceError } from "../../contracts/errors.ts";
import type { Database } from "../../kit/duckdb/database.ts";
import { quoteIdentifier, quoteName } from "../../kit/sql.ts";
import type { UniqueIndex, WrittenTable } from "../../kit/table-writer/batch-plan.ts";

export interface TableRef {
  readonly schema: string;
  readonly name: string;
}

export interface TargetColumn {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
  /** Filled by the database when an insert leaves it out. */
  readonly filled: boolean;
}

export type TargetTable = TableRef & WrittenTable<TargetColumn>;

export function parseTable(object: string | null, schema: string): TableRef {
  const parts = /^(?:(?<first>"(?:[^"]|"")+"|[^".]+)\.)?(?<last>"(?:[^"]|"")+"|[^"]+)$/.exec(object ?? "")?.groups;
  if (!parts?.["last"])
    throw new TailraceError("destination.config", "`object` must be a table: `name`, or `schema.name`");
  const bare = (text: string): string => (text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text);
  return { schema: parts["first"] === undefined ? schema : bare(parts["first"]), name: bare(parts["last"]) };
}

export function tableSql(table: TableRef): string {
  return quoteName(table.schema, table.name);
}

// Of this database, not of others that are attached.
const WHERE = "database_name = current_database() AND schema_name = ? AND table_name = ?";

/** null: there is no such table. */
export async function readTable(database: Database, ref: TableRef): Promise<TargetTable | null> {
  const place = [ref.schema, ref.name];
  const columns = new Map<string, TargetColumn>();
  const found = await database.rows(
    `SELECT column_name AS name, data_type AS type, CAST(is_nullable AS VARCHAR) AS nullable, column_default AS preset
     FROM duckdb_columns() WHERE ${WHERE} AND NOT internal ORDER BY column_index`,
    place,
  );
  if (found.length === 0) return null;
  for (const row of found) {
    columns.set(row["name"]!, {
      name: row["name"]!,
      type: row["type"]!,
      nullable: row["nullable"] === "true",
      filled: row["preset"] !== null,
    });
  }
  const constraints = await database.rows(
    `SELECT constraint_type AS type, CAST(to_json(constraint_column_names) AS VARCHAR) AS columns
     FROM duckdb_constraints() WHERE ${WHERE} AND constraint_type IN ('PRIMARY KEY', 'UNIQUE')`,
    place,
  );
  const indexes = await database.rows(
    `SELECT index_name AS name, expressions FROM duckdb_indexes() WHERE ${WHERE} AND is_unique AND NOT is_primary`,
    place,
  );
  const uniqueIndexes: UniqueIndex[] = [
    ...constraints.map((row) => ({ name: row["type"]!, columns: JSON.parse(row["columns"]!) as string[] })),
    ...indexes.map((row) => ({
      name: row["name"]!,
      columns: columnsOfIndex(row["expressions"]!, [...columns.keys()]),
    })),
  ];
  return { ...ref, label: tableSql(ref), columns, uniqueIndexes };
}

/** DuckDB prints them as a list, `[a, '"b c"']`; one of something else than columns is none that rows are matched by. */
function columnsOfIndex(expressions: string, columns: readonly string[]): string[] {
  const printed = new Map(
    columns.flatMap((name) => {
      const quoted = quoteIdentifier(name);
      return [[name, name] as const, [`'${quoted.replaceAll("'", "\\'")}'`, name] as const];
    }),
  );
  const names = expressions
    .slice(1, -1)
    .split(", ")
    .map((each) => printed.get(each));
  return names.every((name) => name !== undefined) ? names : [];
}
