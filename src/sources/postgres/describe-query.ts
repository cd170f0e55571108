// A model's query: the columns of its result, its key, and the relations that it reads.
import { hash } from "node:crypto";
import type pg from "pg";
import { didYouMean } from "../../contracts/did-you-mean.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { QueryModel } from "../../contracts/model.ts";
import type { Column, Relation } from "../../contracts/relation.ts";
import { quoteIdentifier, quoteName } from "../../kit/sql.ts";
import { sqlState } from "../../kit/postgres/errors.ts";
import { BTREE, OPERATORS } from "./catalog.ts";
import type { KeyColumn, KeyOperators } from "./key-sql.ts";
import type { Normalisers } from "./read-rows.ts";
import { asSourceError } from "./source-error.ts";
import { SCHEMA } from "./source-index-tables.ts";
import { columnFor, loadTypes } from "./types.ts";

export interface DescribedQuery {
  /** Of version 0: to be interned before it leaves the source. */
  readonly relation: Relation;
  readonly normalise: Normalisers;
  /** In the order of the model's key; `sql`: the column of a query that is called `m`. */
  readonly key: readonly KeyColumn[];
  /** What it reads, through views: tables, partitions, views. Not the system's. */
  readonly reads: readonly ReadRelation[];
  /** What `fingerprintSql` of `reads` said when it was described. */
  readonly fingerprint: string;
  /** Another text when the query may give other rows for the same tables: its SQL, or a view that it reads. The same over restarts. */
  readonly meaning: string;
}

export interface ReadRelation {
  readonly oid: string;
  /** The name, quoted. */
  readonly sql: string;
  /** pg_class.relkind. */
  readonly kind: string;
  /** Our role has SELECT on all of it. */
  readonly readable: boolean;
}

/** Before a model's SQL, where it stands as a query that is called `m`. */
const BEFORE = "SELECT * FROM (\n";

/** The model's SQL as something to read from, called `m`. It may end in a comment. */
export function fromModel(model: Pick<QueryModel, "sql">): string {
  return `(\n${model.sql}\n) AS m`;
}

/**
 * Asks the database what the query gives, without running it. `client`: a session for models, outside of a transaction. Throws
 * `source.model` when the SQL is wrong, when two columns have one name or one has none, and when the key is not among them.
 */
export async function describeQuery(client: pg.Client, model: QueryModel): Promise<DescribedQuery> {
  await client.query("BEGIN");
  const fields = await fieldsOf(client, model);
  refuseNames(model, fields);
  // What a transaction has locked is what it reads: the database itself looked through views and partitions.
  const reads = await lockedRelations(client);
  refuseOurs(model, reads);
  // Names of types get their schema, as in any other description.
  await client.query("SET LOCAL search_path = pg_catalog");
  const types = await loadTypes(
    client,
    fields.map(({ dataTypeID }) => dataTypeID),
  );
  const columns = fields.map(({ name, dataTypeID }) => columnFor(types.get(dataTypeID)!, name, false));
  const places = keyPlaces(
    model,
    columns.map(({ column }) => column),
  );
  const key = await keyColumns(
    client,
    model,
    places.map((place) => ({ name: fields[place]!.name, typeOid: types.get(fields[place]!.dataTypeID)!.baseOid })),
  );
  const { rows } = await client.query<{ fingerprint: string; views: string | null }>(
    `SELECT ${fingerprintSql(reads)} AS fingerprint,
            (SELECT string_agg(md5(concat_ws('.', n.nspname, c.relname, pg_get_viewdef(c.oid))), ',' ORDER BY n.nspname, c.relname)
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE c.oid = ANY ($1::oid[]) AND c.relkind = 'v') AS views`,
    [reads.map(({ oid }) => oid)],
  );
  await client.query("COMMIT");
  return {
    relation: {
      id: `query/${model.name}`,
      namespace: "query",
      name: model.name,
      version: 0,
      columns: columns.map(({ column }) => column),
      key: places,
      oldRows: "key",
    },
    normalise: columns.map(({ normalise }) => normalise),
    key,
    reads,
    fingerprint: rows[0]!.fingerprint,
    meaning: hash("md5", JSON.stringify([model.sql, model.key, rows[0]!.views])),
  };
}

/** Something that is another text after any DDL on these relations; as SQL. Also after a TRUNCATE. */
export function fingerprintSql(reads: readonly ReadRelation[]): string {
  const oids = `'{${reads.map(({ oid }) => oid).join(",")}}'::pg_catalog.oid[]`;
  return `pg_catalog.concat_ws('/',
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(':', c.oid, c.xmin), ',' ORDER BY c.oid)
       FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) ANY (${oids})),
    (SELECT pg_catalog.string_agg(a.xmin::pg_catalog.text, ',' ORDER BY a.attrelid, a.attnum)
       FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) ANY (${oids}) AND a.attnum OPERATOR(pg_catalog.>) 0),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(':', r.oid, r.xmin), ',' ORDER BY r.oid)
       FROM pg_catalog.pg_rewrite r WHERE r.ev_class OPERATOR(pg_catalog.=) ANY (${oids})))`;
}

async function fieldsOf(client: pg.Client, model: QueryModel): Promise<readonly pg.FieldDef[]> {
  try {
    // Extended: one statement, whatever is in the text.
    const result = await client.query({
      text: `${BEFORE}${model.sql}\n) AS m LIMIT 0`,
      rowMode: "array",
      queryMode: "extended",
    } as unknown as pg.QueryArrayConfig);
    return result.fields;
  } catch (error) {
    throw wrongSql(model, error);
  }
}

/** What the database says of a model's SQL, with the place in it. What it says of the connection stays that. */
function wrongSql(model: QueryModel, error: unknown): TailraceError {
  const state = sqlState(error);
  // A privilege that is missing concerns this model alone, too.
  if (state === null || !["42", "22", "0A", "3F", "21", "54"].includes(state.slice(0, 2))) return asSourceError(error);
  const { message, position, hint } = error as { message: string; position?: string; hint?: string };
  const where = position === undefined ? "" : placeIn(model.sql, Number(position) - 1 - BEFORE.length);
  const help = hint === undefined ? "" : `. ${hint}`;
  return new TailraceError("source.model", `model ${model.name}: ${message}${where}${help} (SQLSTATE ${state})`);
}

/** `at`: a place in the text, in characters. */
function placeIn(sql: string, at: number): string {
  const before = Array.from(sql).slice(0, Math.max(0, at)).join("").split("\n");
  return at < 0 ? "" : ` at line ${before.length}, column ${before.at(-1)!.length + 1} of its SQL`;
}

function refuseNames(model: QueryModel, fields: readonly pg.FieldDef[]): void {
  const names = fields.map(({ name }) => name);
  const unnamed = names.indexOf("?column?");
  if (unnamed !== -1) {
    throw wrong(model, `column ${unnamed + 1} of its result has no name: give it one with AS`);
  }
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw wrong(model, `two columns of its result are called ${twice}: name them apart with AS, or leave one out`);
  }
}

/** Each comparison changes them: a model of them would never be done. */
function refuseOurs(model: QueryModel, reads: readonly ReadRelation[]): void {
  const ours = reads.find(({ sql }) => sql.startsWith(`${quoteIdentifier(SCHEMA)}.`));
  if (ours) throw wrong(model, `it reads ${ours.sql}, where Tailrace keeps what was sent`);
}

function keyPlaces(model: QueryModel, columns: readonly Column[]): readonly number[] {
  return model.key.map((name) => {
    const place = columns.findIndex((column) => column.name === name);
    if (place !== -1) return place;
    const hint = didYouMean(
      name,
      columns.map((column) => column.name),
    );
    throw wrong(model, `its result has no column ${name}${hint}, which is named as its key`);
  });
}

interface LockedRow {
  readonly oid: string;
  readonly namespace: string;
  readonly name: string;
  readonly kind: string;
  readonly readable: string;
}

async function lockedRelations(client: pg.Client): Promise<readonly ReadRelation[]> {
  const { rows } = await client.query<LockedRow>(
    `SELECT c.oid::pg_catalog.text AS oid, n.nspname::pg_catalog.text AS namespace, c.relname::pg_catalog.text AS name,
            c.relkind::pg_catalog.text AS kind,
            (pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT'))::pg_catalog.text AS readable
       FROM pg_catalog.pg_locks l
       JOIN pg_catalog.pg_class c ON c.oid = l.relation
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation'
        AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      ORDER BY c.oid`,
  );
  return rows.map(({ oid, namespace, name, kind, readable }) => ({
    oid,
    sql: quoteName(namespace, name),
    kind,
    readable: readable === "true",
  }));
}

// A type without a class of its own is compared as the one that it is stored like (varchar as text), or as its kind (enums, arrays).
const KEY_TYPES = `
  SELECT t.oid::text, format_type(t.oid, -1) AS sql, (
    SELECT ${OPERATORS}::text
      FROM pg_opclass o
      LEFT JOIN pg_cast k ON k.castsource = t.oid AND k.casttarget = o.opcintype AND k.castmethod = 'b' AND k.castcontext = 'i'
      JOIN pg_type i ON i.oid = o.opcintype
     WHERE o.opcmethod = ${BTREE} AND o.opcdefault
       AND (o.opcintype = t.oid OR k.oid IS NOT NULL
            OR o.opcintype = CASE WHEN t.typtype = 'e' THEN 'anyenum'::regtype WHEN t.typtype = 'r' THEN 'anyrange'::regtype
                                  WHEN t.typtype = 'm' THEN 'anymultirange'::regtype WHEN t.typtype = 'c' THEN 'record'::regtype
                                  WHEN t.typcategory = 'A' THEN 'anyarray'::regtype END)
     ORDER BY o.opcintype = t.oid DESC, i.typispreferred DESC LIMIT 1) AS operators
  FROM pg_type t WHERE t.oid = ANY ($1::oid[])`;

async function keyColumns(
  client: pg.Client,
  model: QueryModel,
  columns: readonly { readonly name: string; readonly typeOid: number }[],
): Promise<readonly KeyColumn[]> {
  const { rows } = await client.query<{ oid: string; sql: string; operators: string | null }>(KEY_TYPES, [
    columns.map(({ typeOid }) => typeOid),
  ]);
  return columns.map(({ name, typeOid }, keyPlace) => {
    const type = rows.find(({ oid }) => Number(oid) === typeOid);
    if (!type?.operators) {
      throw wrong(
        model,
        `its key column ${name} has the type ${type?.sql ?? "unknown"}, which has no order: cast it to text`,
      );
    }
    return {
      sql: `m.${quoteIdentifier(name)}`,
      sqlType: type.sql,
      keyPlace,
      operators: JSON.parse(type.operators) as KeyOperators,
    };
  });
}

function wrong(model: QueryModel, what: string): TailraceError {
  return new TailraceError("source.model", `model ${model.name}: ${what}`);
}
