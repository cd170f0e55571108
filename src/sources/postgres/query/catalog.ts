// What following a query takes to know of the database: its relations and functions.
import type pg from "pg";
import { quoteIdentifier, quoteName } from "../../../kit/sql.ts";
import { type TableColumn, type TableInfo, describeTable } from "../catalog.ts";
import { notReadable } from "../describe.ts";

export interface BaseColumn extends TableColumn {
  /**
   * Columns of the same class that are equal have the same text, and the other way round. null: texts of equal values may differ (numeric
   * without a scale: 1.0 = 1.00; citext; a collation that is not deterministic).
   */
  readonly textClass: string | null;
  /** Its collation tells any two texts apart. */
  readonly deterministic: boolean;
  /** Whether the log can hold it. */
  readonly inLog: boolean;
}

export interface BaseTable {
  /** The {@link Relation.id} that the log has its rows under: of a partition, its root's. */
  readonly oid: string;
  readonly namespace: string;
  readonly name: string;
  /** The name, quoted; `ONLY` before it where tables inherit from it. */
  readonly sql: string;
  readonly columns: readonly BaseColumn[];
  readonly info: TableInfo;
}

export type CatalogRelation =
  | { readonly kind: "table"; readonly table: BaseTable }
  | { readonly kind: "view"; readonly sql: string; readonly columns: readonly string[]; readonly definition: string }
  /** `what`: as a noun. */
  | { readonly kind: "other"; readonly sql: string; readonly what: string };

export interface FunctionInfo {
  readonly kind: "function" | "aggregate" | "window" | "procedure";
  readonly volatility: "immutable" | "stable" | "volatile";
  readonly language: string;
  readonly builtIn: boolean;
  readonly returnsSet: boolean;
  /** One value, neither a row nor several out parameters. */
  readonly scalar: boolean;
  /** How many arguments it can be called with; `most` null: any number. */
  readonly least: number;
  readonly most: number | null;
  /** See {@link BaseColumn.textClass}, of what it returns. */
  readonly textClass: string | null;
}

export interface QueryCatalog {
  /** By the search path when `schema` is null; null: there is none. */
  relation(schema: string | null, name: string): Promise<CatalogRelation | null>;
  /** All of that name. */
  functions(schema: string | null, name: string): Promise<readonly FunctionInfo[]>;
  /** Whether a collation tells any two texts apart; also of one that is not there. */
  deterministic(schema: string | null, collation: string): Promise<boolean>;
  /** Has the database read a statement with parameters. Throws its error when it does not take it. */
  verify(sql: string): Promise<void>;
}

const SAFE: Readonly<Record<number, string>> = {
  16: "bool", 17: "bytea", 18: "char", 19: "name", 20: "int", 21: "int", 23: "int", 25: "text", 26: "oid",
  1043: "text", 1082: "date", 1083: "time", 1114: "timestamp", 1184: "timestamptz", 2950: "uuid",
}; // prettier-ignore
const BPCHAR = 1042;
const NUMERIC = 1700;

function textClass(type: { oid: number; typmod: number; kind: string; deterministic: boolean }): string | null {
  if (!type.deterministic) return null;
  if (type.kind === "e") return `enum ${type.oid}`;
  if (type.oid === NUMERIC || type.oid === BPCHAR) return type.typmod >= 0 ? `${type.oid} ${type.typmod}` : null;
  return SAFE[type.oid] ?? null;
}

/** Questions to a database, in a session whose search path is the model's. Answers are kept. */
export class DatabaseCatalog implements QueryCatalog {
  readonly #client: pg.Client;
  readonly #generatedToo: boolean;
  readonly #relations = new Map<string, Promise<CatalogRelation | null>>();
  readonly #functions = new Map<string, Promise<readonly FunctionInfo[]>>();

  /** `generatedToo`: the log holds stored generated columns. */
  constructor(client: pg.Client, generatedToo: boolean) {
    this.#client = client;
    this.#generatedToo = generatedToo;
  }

  relation(schema: string | null, name: string): Promise<CatalogRelation | null> {
    return remember(this.#relations, JSON.stringify([schema, name]), () => this.#relation(schema, name));
  }

  async #relation(schema: string | null, name: string): Promise<CatalogRelation | null> {
    const { rows } = await this.#client.query<{ oid: string; definition: string | null; system: string }>(
      `SELECT c.oid::text, CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END AS definition,
              (c.relnamespace::regnamespace::text IN ('pg_catalog', 'information_schema'))::text AS system
         FROM pg_class c WHERE c.oid = to_regclass($1)`,
      [quoteName(schema, name)],
    );
    const [row] = rows;
    if (!row) return null;
    const info = await describeTable(this.#client, { oid: row.oid });
    if (!info) return null;
    const { sql } = info;
    if (row.system === "true") return { kind: "other", sql, what: "a system catalogue" };
    if (row.definition !== null) {
      return { kind: "view", sql, columns: info.columns.map((column) => column.name), definition: row.definition };
    }
    const what = notReadable(info);
    if (what !== null) return { kind: "other", sql, what };
    const unlogged = info.leaves.some(({ persistence }) => persistence !== "p");
    if (unlogged) return { kind: "other", sql, what: "a table with partitions that are not logged" };
    return { kind: "table", table: await this.#table(info) };
  }

  async #table(info: TableInfo): Promise<BaseTable> {
    const { rows } = await this.#client.query<{
      name: string;
      oid: string;
      typmod: string;
      kind: string;
      deterministic: string;
    }>(
      `WITH RECURSIVE base (name, coll, oid, typmod) AS (
         SELECT a.attname, a.attcollation, a.atttypid, a.atttypmod FROM pg_attribute a
          WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
         UNION ALL
         SELECT b.name, b.coll, t.typbasetype, t.typtypmod FROM base b JOIN pg_type t ON t.oid = b.oid WHERE t.typtype = 'd')
       SELECT b.name::text, b.oid::text, b.typmod, t.typtype::text AS kind,
              coalesce((SELECT l.collisdeterministic FROM pg_collation l WHERE l.oid = b.coll), true)::text AS deterministic
         FROM base b JOIN pg_type t ON t.oid = b.oid AND t.typtype <> 'd'`,
      [info.oid],
    );
    const types = new Map(rows.map((row) => [row.name, row]));
    const columns = info.columns.map((column): BaseColumn => {
      const { oid, typmod, kind, deterministic } = types.get(column.name)!;
      return {
        ...column,
        textClass: textClass({
          oid: Number(oid),
          typmod: Number(typmod),
          kind,
          deterministic: deterministic === "true",
        }),
        deterministic: deterministic === "true",
        inLog: column.generated === "" || (column.generated === "s" && this.#generatedToo),
      };
    });
    const sql = info.kind === "p" || !info.children ? info.sql : `ONLY ${info.sql}`;
    return { oid: info.root?.oid ?? info.oid, namespace: info.namespace, name: info.name, sql, columns, info };
  }

  functions(schema: string | null, name: string): Promise<readonly FunctionInfo[]> {
    return remember(this.#functions, JSON.stringify([schema, name]), () => this.#functionsOf(schema, name));
  }

  async #functionsOf(schema: string | null, name: string): Promise<readonly FunctionInfo[]> {
    const { rows } = await this.#client.query<{
      kind: "f" | "a" | "w" | "p";
      volatility: "i" | "s" | "v";
      language: string;
      built_in: string;
      returns_set: string;
      scalar: string;
      least: string;
      most: string;
      type: string;
      type_kind: string;
    }>(
      `SELECT p.prokind::text AS kind, p.provolatile::text AS volatility, l.lanname::text AS language,
              (n.nspname = 'pg_catalog')::text AS built_in, p.proretset::text AS returns_set,
              (p.proargmodes IS NULL AND t.typtype NOT IN ('c', 'p'))::text AS scalar,
              (p.pronargs - p.pronargdefaults - (p.provariadic <> 0)::int) AS least,
              CASE WHEN p.provariadic <> 0 THEN -1 ELSE p.pronargs END AS most,
              t.oid::text AS type, t.typtype::text AS type_kind
         FROM pg_proc p
         JOIN pg_namespace n ON n.oid = p.pronamespace
         JOIN pg_language l ON l.oid = p.prolang
         JOIN pg_type t ON t.oid = p.prorettype
        WHERE p.proname = $1 AND CASE WHEN $2::text IS NULL THEN pg_function_is_visible(p.oid) ELSE n.nspname = $2::text END`,
      [name, schema],
    );
    return rows.map((row) => ({
      kind: ({ f: "function", a: "aggregate", w: "window", p: "procedure" } as const)[row.kind],
      volatility: ({ i: "immutable", s: "stable", v: "volatile" } as const)[row.volatility],
      language: row.language,
      builtIn: row.built_in === "true",
      returnsSet: row.returns_set === "true",
      scalar: row.scalar === "true",
      least: Number(row.least),
      most: Number(row.most) < 0 ? null : Number(row.most),
      textClass: textClass({ oid: Number(row.type), typmod: -1, kind: row.type_kind, deterministic: true }),
    }));
  }

  async deterministic(schema: string | null, collation: string): Promise<boolean> {
    const { rows } = await this.#client.query<{ blurs: string }>(
      `SELECT (NOT c.collisdeterministic)::text AS blurs FROM pg_collation c
        WHERE c.collname = $1 AND CASE WHEN $2::text IS NULL THEN pg_collation_is_visible(c.oid) ELSE c.collnamespace = $2::text::regnamespace END`,
      [collation, schema],
    );
    return rows.every(({ blurs }) => blurs === "false");
  }

  async verify(sql: string): Promise<void> {
    const name = quoteIdentifier("tailrace verified");
    await this.#client.query(`PREPARE ${name} AS ${sql}`);
    await this.#client.query(`DEALLOCATE ${name}`);
  }
}

function remember<T>(known: Map<string, Promise<T>>, key: string, ask: () => Promise<T>): Promise<T> {
  let answer = known.get(key);
  if (!answer) known.set(key, (answer = ask()));
  return answer;
}
