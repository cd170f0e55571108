// What following a query takes to know of the database: its relations and functions.
import type pg from "pg";
import { TailraceError } from "../../../contracts/errors.ts";
import { quoteIdentifier, quoteName } from "../../../kit/sql.ts";
import { type TableColumn, type TableInfo, describeTable } from "../catalog.ts";
import { notReadable } from "../describe.ts";
import type {
  BaseColumn,
  BaseTable,
  CatalogRelation,
  FunctionInfo,
  QueryCatalog,
} from "../../../kit/live-query/catalog.ts";

export interface PostgresColumn extends BaseColumn, TableColumn {}

export interface PostgresTable extends BaseTable {
  /** `ONLY` stands before its name where tables inherit from it. */
  readonly columns: readonly PostgresColumn[];
  readonly namespace: string;
  readonly name: string;
  readonly info: TableInfo;
}

export interface PostgresFunction extends FunctionInfo {
  readonly volatility: "immutable" | "stable" | "volatile";
  readonly language: string;
  readonly builtIn: boolean;
}

export interface PostgresCatalog extends QueryCatalog {
  /** All of that name. */
  functions(schema: string | null, name: string): Promise<readonly PostgresFunction[]>;
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
export class DatabaseCatalog implements PostgresCatalog {
  readonly #client: pg.Client;
  readonly #generatedToo: boolean;
  readonly #relations = new Map<string, Promise<CatalogRelation<PostgresTable> | null>>();
  readonly #functions = new Map<string, Promise<readonly PostgresFunction[]>>();

  /** `generatedToo`: the log holds stored generated columns. */
  constructor(client: pg.Client, generatedToo: boolean) {
    this.#client = client;
    this.#generatedToo = generatedToo;
  }

  relation(schema: string | null, name: string, descendants: boolean): Promise<CatalogRelation<PostgresTable> | null> {
    const asked = JSON.stringify([schema, name, descendants]);
    return remember(this.#relations, asked, () => this.#relation(schema, name, descendants));
  }

  async #relation(
    schema: string | null,
    name: string,
    descendants: boolean,
  ): Promise<CatalogRelation<PostgresTable> | null> {
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
    const other = (what: string, advice = "only ordinary tables can be followed") =>
      ({ kind: "other", sql, what, advice }) as const;
    if (row.system === "true") return other("a system catalogue");
    if (row.definition !== null) {
      return { kind: "view", sql, columns: info.columns.map((column) => column.name), definition: row.definition };
    }
    const what = notReadable(info);
    if (what === "a materialised view") return other(what, "name the query that it is made of");
    if (what !== null) return other(what);
    const unlogged = info.leaves.some(({ persistence }) => persistence !== "p");
    if (unlogged) return other("a table with partitions that are not logged");
    if (info.children && descendants) {
      return other("from which other tables inherit", "name it with ONLY, and the others beside it");
    }
    return { kind: "table", table: await this.#table(info) };
  }

  async #table(info: TableInfo): Promise<PostgresTable> {
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
    const columns = info.columns.map((column): PostgresColumn => {
      const type = types.get(column.name);
      // Between two looks another table has taken its name, as when a tool builds a table anew.
      if (type === undefined) throw new TailraceError("source.blocked", `${info.sql} is being altered or replaced`);
      const { oid, typmod, kind, deterministic } = type;
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
    return { id: info.root?.oid ?? info.oid, namespace: info.namespace, name: info.name, sql, columns, keys: [], info };
  }

  functions(schema: string | null, name: string): Promise<readonly PostgresFunction[]> {
    return remember(this.#functions, JSON.stringify([schema, name]), () => this.#functionsOf(schema, name));
  }

  async #functionsOf(schema: string | null, name: string): Promise<readonly PostgresFunction[]> {
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
