// What the target table looks like, from the server's own catalogue.
import { TailraceError } from "../../contracts/errors.ts";
import type { UniqueIndex, WrittenTable } from "../../kit/table-writer/batch-plan.ts";
import { quoteName } from "./names.ts";
import type { Session } from "./sessions.ts";

export interface TableRef {
  readonly database: string;
  readonly name: string;
}

export interface TargetColumn {
  readonly name: string;
  /** The word alone, small: `bigint`. */
  readonly kind: string;
  /** For people: `varchar(20)`. */
  readonly type: string;
  /** Digits of a time's fraction, or null. */
  readonly fraction: number | null;
  readonly nullable: boolean;
  /** Filled by the server when an insert leaves it out. */
  readonly filled: boolean;
  readonly autoIncrement: boolean;
  readonly generated: boolean;
}

export interface TargetTable extends TableRef, WrittenTable<TargetColumn> {
  /** Not a view. */
  readonly isTable: boolean;
  /** null for a view. */
  readonly engine: string | null;
  readonly triggers: readonly string[];
}

/** `name` or `database.name`; a part with a dot in it stands in backticks. */
export function parseTable(object: string | null, database: string): TableRef {
  const parts = /^(?:(?<first>`(?:[^`]|``)+`|[^`.]+)\.)?(?<last>`(?:[^`]|``)+`|[^`]+)$/.exec(object ?? "")?.groups;
  if (!parts?.["last"])
    throw new TailraceError("destination.config", "`object` must be a table: `name`, or `database.name`");
  const bare = (text: string): string => (text.startsWith("`") ? text.slice(1, -1).replaceAll("``", "`") : text);
  return { database: parts["first"] === undefined ? database : bare(parts["first"]), name: bare(parts["last"]) };
}

export function tableSql(table: TableRef): string {
  return `${quoteName(table.database)}.${quoteName(table.name)}`;
}

const COLUMNS = `
  SELECT column_name AS name, LOWER(data_type) AS kind, column_type AS type, CAST(datetime_precision AS CHAR) AS fraction,
    is_nullable AS nullable, column_default AS preset, extra AS extra
  FROM information_schema.columns WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position`;

// Whole columns only; an expression has no column's name.
const INDEXES = `
  SELECT index_name AS name, column_name AS col, sub_part IS NOT NULL OR column_name IS NULL AS partial
  FROM information_schema.statistics WHERE table_schema = ? AND table_name = ? AND non_unique = 0
  ORDER BY index_name <> 'PRIMARY', index_name, seq_in_index`;

/** null: there is no such table, or it may not be seen. */
export async function readTable(session: Session, ref: TableRef): Promise<TargetTable | null> {
  const place = [ref.database, ref.name];
  const [found] = await session.rows(
    "SELECT table_type AS type, engine AS engine FROM information_schema.tables WHERE table_schema = ? AND table_name = ?",
    place,
  );
  if (!found) return null;
  const columns = new Map<string, TargetColumn>();
  for (const row of await session.rows(COLUMNS, place)) {
    const extra = (row["extra"] ?? "").toLowerCase();
    const preset = row["preset"] ?? null;
    columns.set(row["name"]!, {
      name: row["name"]!,
      kind: row["kind"]!,
      type: row["type"]!,
      fraction: row["fraction"] === null ? null : Number(row["fraction"]),
      nullable: row["nullable"] === "YES",
      filled: extra.includes("auto_increment") || (preset !== null && preset !== "NULL"),
      autoIncrement: extra.includes("auto_increment"),
      generated: /\b(virtual|stored|persistent)\b/.test(extra),
    });
  }
  const triggers = await session.rows(
    "SELECT trigger_name AS name FROM information_schema.triggers WHERE event_object_schema = ? AND event_object_table = ? ORDER BY 1",
    place,
  );
  return {
    ...ref,
    label: tableSql(ref),
    isTable: found["type"] === "BASE TABLE",
    engine: found["engine"] ?? null,
    triggers: triggers.map(({ name }) => name!),
    columns,
    uniqueIndexes: await readIndexes(session, place),
  };
}

async function readIndexes(session: Session, place: readonly string[]): Promise<UniqueIndex[]> {
  const indexes = new Map<string, string[] | null>();
  for (const row of await session.rows(INDEXES, place)) {
    const name = row["name"]!;
    const columns = indexes.get(name);
    if (columns === null) continue;
    if (Number(row["partial"]) === 1) indexes.set(name, null);
    else if (columns === undefined) indexes.set(name, [row["col"]!]);
    else columns.push(row["col"]!);
  }
  // One that is not of whole columns cannot be matched by, and can be conflicted with.
  return [...indexes].map(([name, columns]) => ({ name, columns: columns ?? [] }));
}
