// A table as the database's catalogue has it now.
import type pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import type { Model } from "../../contracts/model.ts";
import type { Column, Relation } from "../../contracts/relation.ts";
import { quoteName } from "../../kit/sql.ts";
import { didYouMean } from "./closest.ts";
import { asSourceError } from "./source-error.ts";
import { type Normalise, type TypeInfo, columnFor, loadTypes } from "./types.ts";

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
  /** Unique indexes whose columns identify a row: no expressions, not partial, not deferrable, comparing as the columns do. */
  readonly uniqueIndexes: readonly { readonly name: string; readonly columns: readonly string[] }[];
  readonly replicaIdentity: ReplicaIdentity;
  /** The tables that hold a partitioned table's rows; itself, if it is a plain one. */
  readonly leaves: readonly Leaf[];
  /** The uppermost partitioned table that it is a partition of; null: of none. */
  readonly root: { readonly oid: string; readonly sql: string } | null;
  /** Row security applies to our role: it would hide rows. */
  readonly rowSecurity: boolean;
  /** Our role may read every column. */
  readonly readable: boolean;
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

const IDENTITY = (of: string) => `
  json_build_object('kind', ${of}.relreplident, 'columns', CASE ${of}.relreplident
    WHEN 'd' THEN ${INDEX_COLUMNS("i.indisprimary AND i.indisvalid", of)}
    WHEN 'i' THEN ${INDEX_COLUMNS("i.indisreplident AND i.indisvalid", of)} END)`;

// One statement, so that all of it is of one moment.
const TABLE = `
  SELECT json_build_object(
    'oid', c.oid::text, 'namespace', n.nspname, 'name', c.relname, 'kind', c.relkind, 'persistence', c.relpersistence,
    'owner', pg_get_userbyid(c.relowner),
    'rowSecurity', row_security_active(c.oid),
    'readable', has_schema_privilege(n.oid, 'USAGE') AND (has_table_privilege(c.oid, 'SELECT') OR NOT EXISTS (
      SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT'))),
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
      SELECT json_agg(json_build_object('name', x.relname, 'columns', u.columns) ORDER BY i.indisprimary DESC, x.relname)
        FROM pg_index i
        JOIN pg_class x ON x.oid = i.indexrelid
       CROSS JOIN LATERAL (
         SELECT json_agg(a.attname ORDER BY k.place) AS columns,
                bool_and(o.opcdefault AND k.coll IN (0, a.attcollation)) AS plain
           FROM unnest(i.indkey::int2[], i.indcollation::oid[], i.indclass::oid[]) WITH ORDINALITY
                AS k (attnum, coll, opclass, place)
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
           JOIN pg_opclass o ON o.oid = k.opclass
          WHERE k.place <= i.indnkeyatts) AS u
       WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND u.plain
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
  readonly readable: boolean;
  readonly columns: readonly { name: string; type: string; notNull: boolean; generated: string; sqlType: string }[];
  readonly primaryKey: readonly string[] | null;
  readonly uniqueIndexes: readonly { name: string; columns: readonly string[] }[];
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
    readable: raw.readable,
  };
}

function identityOf(raw: RawIdentity, all: readonly string[]): ReplicaIdentity {
  if (raw.kind === "f") return { kind: "full", columns: all };
  if (raw.kind === "n") return { kind: "nothing", columns: [] };
  return { kind: raw.kind === "i" ? "index" : "default", columns: raw.columns ?? [] };
}

export interface DescribeOptions {
  /** Schema of tables that are named without one. */
  readonly schema: string;
  /** Name of the publication that is, or will be, read. */
  readonly publication: string;
}

/** A model's table, with the columns that the log sends. */
export interface DescribedModel {
  readonly table: TableInfo;
  /** Of version 0: to be interned before it leaves the source. */
  readonly relation: Relation;
  /** One a column of `relation`. */
  readonly columns: readonly TableColumn[];
}

/** Throws `source.model` when there is no such table, or its key is none. */
export async function describe(client: pg.Client, model: Model, options: DescribeOptions): Promise<DescribedModel> {
  const namespace = model.table.namespace ?? options.schema;
  const table = await describeTable(client, { namespace, name: model.table.name });
  if (!table) throw await missingTable(client, model, namespace);
  const what = notReadable(table);
  if (what !== null) throw wrong(model, `${table.sql} is ${what}, so the log does not hold its rows`);
  const generatedToo = await sendsGenerated(client, options.publication);
  const columns = table.columns.filter(({ generated }) => generated === "" || (generated === "s" && generatedToo));
  const names = keyOf(model, table);
  const key = names.map((name) => columns.findIndex((column) => column.name === name));
  if (key.includes(-1)) {
    throw wrong(
      model,
      `key column ${names[key.indexOf(-1)]} of ${table.sql} is generated, and the log does not hold it`,
    );
  }
  // With a partitioned table, the log has what each partition gives.
  const full = [table, ...table.leaves].every(({ replicaIdentity }) => replicaIdentity.kind === "full");
  return {
    table,
    relation: {
      id: table.oid,
      namespace: table.namespace,
      name: table.name,
      version: 0,
      columns: columns.map(({ column }) => column),
      key,
      oldRows: full ? "full" : "key",
    },
    columns,
  };
}

/** Why the log cannot hold a relation's rows, as a noun; null: it can. */
export function notReadable(table: Pick<TableInfo, "kind" | "persistence">): string | null {
  switch (table.kind) {
    case "r":
    case "p":
      return table.persistence === "u" ? "an unlogged table" : table.persistence === "t" ? "a temporary table" : null;
    case "v":
      return "a view";
    case "m":
      return "a materialised view";
    case "f":
      return "a foreign table";
    default:
      return "not a table";
  }
}

/** Names of the model's key. Throws `source.model` when it does not identify a row. */
export function keyOf(model: Model, table: TableInfo): readonly string[] {
  if (model.key === null) {
    if (table.primaryKey) return table.primaryKey;
    const candidate = table.uniqueIndexes.find(({ columns }) =>
      columns.every((name) => columnOf(table, name)?.notNull),
    );
    throw wrong(
      model,
      `${table.sql} has no primary key${candidate ? `; its unique index ${candidate.name} would do: key: [${candidate.columns.join(", ")}]` : ": add one"}`,
    );
  }
  const all = table.columns.map((column) => column.name);
  for (const name of model.key) {
    const column = columnOf(table, name);
    if (!column)
      throw wrong(model, `${table.sql} has no column ${name}${didYouMean(name, all)}, which is named as its key`);
    if (!column.notNull)
      throw wrong(model, `key column ${name} of ${table.sql} may be null: declare it NOT NULL, or choose another key`);
  }
  const key = model.key;
  if (!table.uniqueIndexes.some(({ columns }) => columns.every((name) => key.includes(name)))) {
    throw wrong(
      model,
      `the key (${key.join(", ")}) of ${table.sql} is not unique by any index: make a plain unique index on it, or choose another key`,
    );
  }
  return key;
}

function columnOf(table: TableInfo, name: string): TableColumn | undefined {
  return table.columns.find((column) => column.name === name);
}

// Stored generated columns are in the log from 18 on, if the publication says so; our own does.
async function sendsGenerated(client: pg.Client, publication: string): Promise<boolean> {
  try {
    const { rows } = await client.query<{ sends: string | null }>(
      `SELECT (current_setting('server_version_num')::int >= 180000 AND coalesce(
                (SELECT to_jsonb(p) ->> 'pubgencols' = 's' FROM pg_publication p WHERE p.pubname = $1), true))::text AS sends`,
      [publication],
    );
    return rows[0]!.sends === "true";
  } catch (error) {
    throw asSourceError(error);
  }
}

async function missingTable(client: pg.Client, model: Model, namespace: string): Promise<TailraceError> {
  const { rows } = await client.query<{ namespace: string; name: string }>(
    `SELECT n.nspname::text AS namespace, c.relname::text AS name
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
      ORDER BY n.nspname = $1 DESC, n.nspname, c.relname LIMIT 5000`,
    [namespace],
  );
  const elsewhere = rows.find((row) => row.name === model.table.name && row.namespace !== namespace);
  const hint = elsewhere
    ? ` (there is ${elsewhere.namespace}.${elsewhere.name})`
    : didYouMean(
        model.table.name,
        rows.filter((row) => row.namespace === namespace).map((row) => row.name),
      );
  return wrong(model, `there is no table ${quoteName(namespace, model.table.name)}${hint}`);
}

function wrong(model: Model, what: string): TailraceError {
  return new TailraceError("source.model", `model ${model.name}: ${what}`);
}

/** Columns by name and type alone: of a table that has changed since, or is gone. */
export async function columnsByType(
  client: pg.Client,
  columns: readonly { readonly name: string; readonly typeOid: number }[],
  announced: ReadonlyMap<number, { readonly namespace: string; readonly name: string }>,
): Promise<
  readonly {
    readonly name: string;
    readonly typeOid: number;
    readonly column: Column;
    readonly normalise: Normalise | null;
  }[]
> {
  const types = await loadTypes(
    client,
    columns.map((column) => column.typeOid),
  );
  return columns.map(({ name, typeOid }) => {
    const found = types.get(typeOid)!;
    const said = announced.get(typeOid);
    const type: TypeInfo =
      found.name === "unknown" && said ? { ...found, name: quoteName(said.namespace, said.name) } : found;
    return { name, typeOid, ...columnFor(type, name, false) };
  });
}
