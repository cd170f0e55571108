// What the target table looks like, from the database's own catalogue.
import { TailraceError } from "../../contracts/errors.ts";
import type { Session } from "./sessions.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import type { WrittenTable } from "../../kit/table-writer/batch-plan.ts";

export interface TableRef {
  readonly schema: string;
  readonly name: string;
}

export interface TargetColumn {
  readonly name: string;
  /** For people: `character varying(3)`. */
  readonly type: string;
  /**
   * What a text is cast to, ready for SQL: the type without its length, a domain's base type. An explicit cast to
   * `varchar(3)` would cut the text; the assignment to the column that follows checks the length and the domain instead.
   */
  readonly cast: string;
  readonly typeOid: string;
  /** pg_type.typcategory of the base type. */
  readonly category: string;
  readonly nullable: boolean;
  /** Filled by the database when an insert leaves it out. */
  readonly filled: boolean;
  readonly identityAlways: boolean;
  readonly generated: boolean;
}

export interface TargetTable extends TableRef, WrittenTable<TargetColumn> {
  readonly oid: string;
  /** pg_class.relkind: `r` table, `p` partitioned, `v` view, `m`, `f`. */
  readonly kind: string;
  readonly rowSecurity: boolean;
  readonly triggers: readonly string[];
}

/** `name`, `schema.name`, each part quoted or not. Throws `destination.config`. */
export function parseTable(object: string | null, schema: string): TableRef {
  const parts = /^(?:(?<first>"(?:[^"]|"")+"|[^".]+)\.)?(?<last>"(?:[^"]|"")+"|[^"]+)$/.exec(object ?? "")?.groups;
  if (!parts?.["last"])
    throw new TailraceError("destination.config", "`object` must be a table: `name`, or `schema.name`");
  const bare = (text: string): string => (text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text);
  return { schema: parts["first"] === undefined ? schema : bare(parts["first"]), name: bare(parts["last"]) };
}

export function tableSql(table: TableRef): string {
  return `${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)}`;
}

const TABLE = `
  SELECT c.oid, c.relkind, c.relrowsecurity AND row_security_active(c.oid) AS row_security,
    (SELECT string_agg(t.tgname, ', ' ORDER BY t.tgname) FROM pg_trigger t
      WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D') AS triggers
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`;

const COLUMNS = `
  WITH RECURSIVE col AS (
    SELECT * FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped
  ), base(top, oid) AS (
    SELECT DISTINCT atttypid, atttypid FROM col
    UNION ALL
    SELECT base.top, t.typbasetype FROM base JOIN pg_type t ON t.oid = base.oid WHERE t.typtype = 'd'
  )
  SELECT col.attname, format_type(col.atttypid, col.atttypmod) AS type, format_type(t.oid, -1) AS cast_type, t.oid AS type_oid,
    t.typcategory, col.attnotnull, col.atthasdef OR col.attidentity <> '' AS filled, col.attidentity = 'a' AS always,
    col.attgenerated <> '' AS generated
  FROM col JOIN base ON base.top = col.atttypid JOIN pg_type t ON t.oid = base.oid AND t.typtype <> 'd'
  ORDER BY col.attnum`;

// Those that ON CONFLICT can go by: valid, immediate, whole, of plain columns.
const INDEXES = `
  SELECT ic.relname, a.attname FROM pg_index i
  JOIN pg_class ic ON ic.oid = i.indexrelid
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
  WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
    AND k.place <= i.indnkeyatts
  ORDER BY NOT i.indisprimary, ic.relname, k.place`;

/** null: there is no such table, or it may not be seen. */
export async function readTable(session: Session, ref: TableRef): Promise<TargetTable | null> {
  const [found] = await session.rows(TABLE, [ref.schema, ref.name]);
  if (!found) return null;
  const columns = new Map<string, TargetColumn>();
  for (const row of await session.rows(COLUMNS, [found["oid"]])) {
    columns.set(row["attname"]!, {
      name: row["attname"]!,
      type: row["type"]!,
      cast: row["cast_type"]!,
      typeOid: row["type_oid"]!,
      category: row["typcategory"]!,
      nullable: row["attnotnull"] !== "t",
      filled: row["filled"] === "t",
      identityAlways: row["always"] === "t",
      generated: row["generated"] === "t",
    });
  }
  const indexes = new Map<string, string[]>();
  for (const row of await session.rows(INDEXES, [found["oid"]])) {
    const names = indexes.get(row["relname"]!);
    if (names) names.push(row["attname"]!);
    else indexes.set(row["relname"]!, [row["attname"]!]);
  }
  return {
    ...ref,
    label: tableSql(ref),
    oid: found["oid"]!,
    kind: found["relkind"]!,
    rowSecurity: found["row_security"] === "t",
    triggers: found["triggers"]?.split(", ") ?? [],
    columns,
    uniqueIndexes: [...indexes].map(([name, names]) => ({ name, columns: names })),
  };
}
