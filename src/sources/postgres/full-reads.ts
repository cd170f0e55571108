// Tables that a statement reads as a whole, because no index leads to the rows that it asks for.
import type pg from "pg";
import { quoteName } from "../../kit/sql.ts";
import { type PlanNode, planOf } from "./query-plan.ts";

export interface FullRead {
  readonly namespace: string;
  readonly name: string;
  /** Columns that the rows are asked for by, of which an index would do; empty: by none. */
  readonly columns: readonly string[];
}

// However small the tables are now, and whatever the statistics say.
const INDEXES_WHEREVER_POSSIBLE = ["enable_seqscan = off", "enable_hashjoin = off", "enable_mergejoin = off"];

/** Also its planned cost, with an index wherever there is one. `client`: a session for models. */
export async function fullReads(
  client: pg.Client,
  sql: string,
  parameters: number,
): Promise<{ readonly reads: readonly FullRead[]; readonly cost: number }> {
  const plan = await planOf(client, sql, parameters, INDEXES_WHEREVER_POSSIBLE);
  const reads: FullRead[] = [];
  collect(plan, [], reads);
  return { reads, cost: plan["Total Cost"] };
}

/** Reading all of a table with fewer rows takes no time that matters. */
const SMALL_ROWS = 10_000;

/** Those of tables that are not small, each table once, with its quoted name and about how many rows it has. */
export async function ofLargeTables(
  client: pg.Client,
  reads: readonly FullRead[],
): Promise<readonly (FullRead & { readonly sql: string; readonly rows: number })[]> {
  const large = [];
  const tables = new Map(reads.map((read) => [quoteName(read.namespace, read.name), read]));
  for (const [sql, read] of tables) {
    const rows = await rowsOf(client, read);
    if (rows >= SMALL_ROWS) large.push({ ...read, sql, rows });
  }
  return large;
}

/** As the statistics say; a table that was never analysed is measured. */
async function rowsOf(client: pg.Client, { namespace, name }: FullRead): Promise<number> {
  const { rows } = await client.query<{ rows: string }>(
    `SELECT (CASE WHEN c.reltuples < 0 THEN pg_catalog.pg_relation_size(c.oid) / 100 ELSE c.reltuples END)::bigint::text AS rows
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2`,
    [namespace, name],
  );
  return Number(rows[0]?.rows ?? 0);
}

function collect(node: PlanNode, conditions: readonly string[], reads: FullRead[]): void {
  const here = [...conditions, node["Join Filter"] ?? "", node.Filter ?? ""];
  const name = node["Relation Name"];
  const whole = node["Node Type"].includes("Scan") && node["Node Type"] !== "Bitmap Heap Scan" && !node["Index Cond"];
  if (name !== undefined && whole) {
    const alias = node.Alias ?? name;
    reads.push({ namespace: node.Schema ?? "", name, columns: comparedColumns(here.join(" "), alias) });
  }
  for (const child of node.Plans ?? []) collect(child, here, reads);
}

/** Columns of `alias` that conditions, as EXPLAIN prints them, compare with a value that is not written there. */
export function comparedColumns(conditions: string, alias: string): readonly string[] {
  const quoted = `"${alias.replaceAll('"', '""')}"`;
  const side = String.raw`(?:[\w$]+|"(?:[^"]|"")+")\.(?:[\w$]+|"(?:[^"]|"")+")`;
  const cast = String.raw`\)?(?:::[\w ]+(?:\[\])?)?\)*`;
  const columns = new Set<string>();
  const take = (operand: string | undefined) => {
    const [, of, column] = /^([\w$]+|"(?:[^"]|"")+")\.(.+)$/.exec(operand ?? "") ?? [];
    if (column !== undefined && (of === alias || of === quoted)) columns.add(unquoted(column));
  };
  const left = new RegExp(String.raw`(${side})${cast} = (?![\d']|ANY \(')`, "g");
  const right = new RegExp(String.raw` = \(*(${side})`, "g");
  for (const pattern of [left, right]) for (const [, operand] of conditions.matchAll(pattern)) take(operand);
  return [...columns];
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}
