// A table as the database's catalogue has it now.
import type pg from "pg";
import type { Column } from "../../contracts/relation.ts";
import { quoteName } from "../../kit/sql.ts";
import type { KeyOperators } from "./key-sql.ts";
import { asSourceError } from "./source-error.ts";
import { type Normalise, columnFor, loadTypes } from "./types.ts";

export interface TableInfo {
  readonly oid: string;
  readonly namespace: string;
  readonly name: string;
  /** The name, quoted. */
  readonly sql: string;
  /** pg_class.relkind: `r` table, `p` partitioned table, `v` view, `m` materialised view, `f` foreign table. */
  readonly kind: string;
  /** pg_class.relpersistence: `p` permanent, `u` unlogged, `t` temporary. */
  readonly persistence: string;
  readonly owner: string;
  /** In the table's order, without dropped ones, generated ones marked. */
  readonly columns: readonly TableColumn[];
  /** Names, in key order; null: there is none. */
  readonly primaryKey: readonly string[] | null;
  /** Unique B-tree indexes whose columns identify a row: no expressions, not partial, comparing as the columns do. */
  readonly uniqueIndexes: readonly UniqueIndex[];
  readonly replicaIdentity: ReplicaIdentity;
  /** The tables that hold a partitioned table's rows; itself, if it is a plain one. */
  readonly leaves: readonly Leaf[];
  /** The uppermost partitioned table that it is a partition of; null: of none. */
  readonly root: { readonly oid: string; readonly sql: string } | null;
  /** Row security applies to our role: it would hide rows. */
  readonly rowSecurity: boolean;
  /** Our role has USAGE on the schema. */
  readonly schemaUsable: boolean;
  /** Our role has SELECT on the table. */
  readonly readable: boolean;
  /** Our role is, or is a member of, the owner: it may publish the table. */
  readonly owned: boolean;
  /** Other tables inherit from it (no partitions); their rows are not its own. */
  readonly children: boolean;
}

export interface TableColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly notNull: boolean;
  /** `` (not), `s` stored, `v` virtual. */
  readonly generated: string;
  /** The type of a parameter that is compared with it: its base type with its modifiers, as SQL. */
  readonly sqlType: string;
  readonly column: Column;
  readonly normalise: Normalise | null;
}

export interface UniqueIndex {
  readonly name: string;
  readonly primary: boolean;
  /** Not deferrable: it may be a replica identity, if its columns are NOT NULL. */
  readonly immediate: boolean;
  /** Names, in the index's order. */
  readonly columns: readonly string[];
  /** Of each column, as SQL: they need not be in `pg_catalog`. */
  readonly operators: readonly KeyOperators[];
}

export interface ReplicaIdentity {
  readonly kind: "default" | "full" | "index" | "nothing";
  /** The columns whose old values the log holds; empty: updates and deletes of a published table fail. */
  readonly columns: readonly string[];
}

export interface Leaf {
  readonly oid: string;
  readonly sql: string;
  readonly persistence: string;
  readonly replicaIdentity: ReplicaIdentity;
}

const INDEX_COLUMNS = (where: string, of: string) => `
  (SELECT json_agg(a.attname ORDER BY k.place)
     FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place), pg_attribute a
    WHERE i.indrelid = ${of}.oid AND ${where} AND k.place <= i.indnkeyatts AND a.attrelid = ${of}.oid AND a.attnum = k.attnum)`;

// A deferrable primary key is none here: the server does not log by it.
const IDENTITY = (of: string) => `
  json_build_object('kind', ${of}.relreplident, 'columns', CASE ${of}.relreplident
    WHEN 'd' THEN ${INDEX_COLUMNS("i.indisprimary AND i.indisvalid AND i.indimmediate", of)}
    WHEN 'i' THEN ${INDEX_COLUMNS("i.indisreplident AND i.indisvalid", of)} END)`;

export const BTREE = 403;

/** Of the operator class `o`, as SQL. */
const OPERATOR = (strategy: number) => `
  (SELECT format('OPERATOR(%I.%s)', pn.nspname, p.oprname)
     FROM pg_amop m JOIN pg_operator p ON p.oid = m.amopopr JOIN pg_namespace pn ON pn.oid = p.oprnamespace
    WHERE m.amopfamily = o.opcfamily AND m.amoplefttype = o.opcintype AND m.amoprighttype = o.opcintype
      AND m.amopstrategy = ${strategy})`;

/** {@link KeyOperators} of the B-tree operator class `o`, as JSON. */
export const OPERATORS = `json_build_object('equal', ${OPERATOR(3)}, 'atLeast', ${OPERATOR(4)}, 'greater', ${OPERATOR(5)})`;

// One statement, so that all of it is of one moment.
const TABLE = `
  SELECT json_build_object(
    'oid', c.oid::text, 'namespace', n.nspname, 'name', c.relname, 'kind', c.relkind, 'persistence', c.relpersistence,
    'owner', pg_get_userbyid(c.relowner),
    'rowSecurity', row_security_active(c.oid),
    'schemaUsable', has_schema_privilege(n.oid, 'USAGE'),
    'readable', has_table_privilege(c.oid, 'SELECT'),
    'owned', pg_has_role(c.relowner, 'USAGE'),
    'children', EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = c.oid) AND c.relkind = 'r',
    'columns', coalesce((
      WITH RECURSIVE base (attnum, oid, typmod) AS (
        SELECT a.attnum, a.atttypid, a.atttypmod FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT b.attnum, t.typbasetype, t.typtypmod FROM base b JOIN pg_type t ON t.oid = b.oid WHERE t.typtype = 'd')
      SELECT json_agg(json_build_object('name', a.attname, 'type', a.atttypid::text, 'notNull', a.attnotnull,
                                        'generated', a.attgenerated, 'sqlType', format_type(b.oid, b.typmod)) ORDER BY a.attnum)
        FROM base b
        JOIN pg_type t ON t.oid = b.oid AND t.typtype <> 'd'
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = b.attnum), '[]'),
    'primaryKey', ${INDEX_COLUMNS("i.indisprimary AND i.indisvalid", "c")},
    'uniqueIndexes', coalesce((
      SELECT json_agg(json_build_object('name', x.relname, 'primary', i.indisprimary, 'immediate', i.indimmediate, 'columns', u.columns,
                                        'operators', u.operators) ORDER BY i.indisprimary DESC, x.relname)
        FROM pg_index i
        JOIN pg_class x ON x.oid = i.indexrelid
       CROSS JOIN LATERAL (
         SELECT json_agg(a.attname ORDER BY k.place) AS columns,
                json_agg(${OPERATORS} ORDER BY k.place) AS operators,
                bool_and(o.opcdefault AND o.opcmethod = ${BTREE} AND k.coll IN (0, a.attcollation)) AS plain
           FROM unnest(i.indkey::int2[], i.indcollation::oid[], i.indclass::oid[]) WITH ORDINALITY
                AS k (attnum, coll, opclass, place)
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
           JOIN pg_opclass o ON o.oid = k.opclass
          WHERE k.place <= i.indnkeyatts) AS u
       WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND u.plain
         AND i.indpred IS NULL AND i.indexprs IS NULL), '[]'),
    'replicaIdentity', ${IDENTITY("c")},
    'leaves', CASE WHEN c.relkind = 'p' THEN coalesce((
      SELECT json_agg(json_build_object('oid', l.oid::text, 'namespace', ln.nspname, 'name', l.relname,
                                        'persistence', l.relpersistence, 'replicaIdentity', ${IDENTITY("l")})
                      ORDER BY ln.nspname, l.relname)
        FROM pg_partition_tree(c.oid) t
        JOIN pg_class l ON l.oid = t.relid
        JOIN pg_namespace ln ON ln.oid = l.relnamespace
       WHERE t.isleaf AND l.relkind <> 'p'), '[]') END,
    'root', (SELECT json_build_object('oid', r.oid::text, 'namespace', rn.nspname, 'name', r.relname)
               FROM pg_class r JOIN pg_namespace rn ON rn.oid = r.relnamespace
              WHERE c.relispartition AND r.oid = pg_partition_root(c.oid))
  )::text AS info
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE `;

interface Named {
  readonly oid: string;
  readonly namespace: string;
  readonly name: string;
}

interface RawIdentity {
  readonly kind: string;
  readonly columns: readonly string[] | null;
}

interface RawTable extends Named {
  readonly kind: string;
  readonly persistence: string;
  readonly owner: string;
  readonly rowSecurity: boolean;
  readonly schemaUsable: boolean;
  readonly readable: boolean;
  readonly owned: boolean;
  readonly children: boolean;
  readonly columns: readonly { name: string; type: string; notNull: boolean; generated: string; sqlType: string }[];
  readonly primaryKey: readonly string[] | null;
  readonly uniqueIndexes: readonly UniqueIndex[];
  readonly replicaIdentity: RawIdentity;
  readonly leaves: readonly (Named & { persistence: string; replicaIdentity: RawIdentity })[] | null;
  readonly root: Named | null;
}

export type TableAddress = { readonly oid: string } | { readonly namespace: string; readonly name: string };

/** null: there is no such relation. A query that fails throws: not knowing is not "missing". */
export async function describeTable(client: pg.Client, at: TableAddress): Promise<TableInfo | null> {
  let rows: { info: string }[];
  try {
    ({ rows } =
      "oid" in at
        ? await client.query<{ info: string }>(`${TABLE} c.oid = $1::oid`, [at.oid])
        : await client.query<{ info: string }>(`${TABLE} n.nspname = $1 AND c.relname = $2`, [at.namespace, at.name]));
  } catch (error) {
    throw asSourceError(error);
  }
  const row = rows[0];
  if (!row) return null;
  const raw = JSON.parse(row.info) as RawTable;
  const types = await loadTypes(
    client,
    raw.columns.map((column) => Number(column.type)),
  );
  const columns = raw.columns.map(({ name, type, notNull, generated, sqlType }): TableColumn => {
    const typeOid = Number(type);
    return { name, typeOid, notNull, generated, sqlType, ...columnFor(types.get(typeOid)!, name, notNull) };
  });
  const names = columns.map((column) => column.name);
  const sql = quoteName(raw.namespace, raw.name);
  const replicaIdentity = identityOf(raw.replicaIdentity, names);
  return {
    oid: raw.oid,
    namespace: raw.namespace,
    name: raw.name,
    sql,
    kind: raw.kind,
    persistence: raw.persistence,
    owner: raw.owner,
    columns,
    primaryKey: raw.primaryKey,
    uniqueIndexes: raw.uniqueIndexes,
    replicaIdentity,
    leaves: raw.leaves?.map((leaf) => ({
      oid: leaf.oid,
      sql: quoteName(leaf.namespace, leaf.name),
      persistence: leaf.persistence,
      replicaIdentity: identityOf(leaf.replicaIdentity, names),
    })) ?? [{ oid: raw.oid, sql, persistence: raw.persistence, replicaIdentity }],
    root: raw.root && { oid: raw.root.oid, sql: quoteName(raw.root.namespace, raw.root.name) },
    rowSecurity: raw.rowSecurity,
    schemaUsable: raw.schemaUsable,
    readable: raw.readable,
    owned: raw.owned,
    children: raw.children,
  };
}

function identityOf(raw: RawIdentity, all: readonly string[]): ReplicaIdentity {
  if (raw.kind === "f") return { kind: "full", columns: all };
  if (raw.kind === "n") return { kind: "nothing", columns: [] };
  return { kind: raw.kind === "i" ? "index" : "default", columns: raw.columns ?? [] };
}
