// What a query reads, by Snowflake's own plan of it, and whether its result changes by itself. EXPLAIN runs nothing and takes no warehouse.
import type { ObjectName } from "./names.ts";
import type { SnowflakeSession, StatementOptions } from "./session.ts";

export interface Dependencies {
  /** null: they cannot be told; not all of what it reads has changes that can be noticed. */
  readonly tables: readonly ObjectName[] | null;
  /** Functions whose result changes with time, or with every call. */
  readonly unsteady: readonly string[];
}

const UNSTEADY =
  /\b(CURRENT_(?:TIMESTAMP|DATE|TIME)|GETDATE|SYSDATE|SYSTIMESTAMP|LOCALTIME(?:STAMP)?|RANDOM|RANDSTR|UUID_STRING|UNIFORM|NORMAL|SEQ[1248])\b/gi;

interface Plan {
  readonly Operations?: readonly (readonly { readonly operation?: string; readonly objects?: readonly string[] }[])[];
}

export async function dependenciesOf(
  session: SnowflakeSession,
  sql: string,
  options: StatementOptions,
): Promise<Dependencies> {
  const [row] = await session.rows(`EXPLAIN USING JSON ${sql}`, options);
  const plan = JSON.parse(row?.[0] ?? "{}") as Plan;
  const scans = (plan.Operations ?? []).flat().filter(({ operation }) => /Scan$/i.test(operation ?? ""));
  const names = new Map<string, ObjectName>();
  let all = scans.length > 0;
  for (const { operation, objects = [] } of scans) {
    if (operation !== "TableScan") all = false;
    for (const object of objects) {
      const name = partsOf(object);
      if (name === null) all = false;
      else names.set(object, name);
    }
  }
  const unsteady = new Set([...withoutTexts(sql).matchAll(UNSTEADY)].map(([name]) => name.toUpperCase()));
  return { tables: all ? [...names.values()] : null, unsteady: [...unsteady] };
}

/** `DB.SCHEMA.NAME`, a part in quotes where it needs them. */
function partsOf(text: string): ObjectName | null {
  const parts = text
    .match(/"(?:[^"]|"")*"|[^."]+/g)
    ?.map((part) => (part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part));
  const [database, schema, name, ...more] = parts ?? [];
  return database === undefined || schema === undefined || name === undefined || more.length > 0
    ? null
    : { database, schema, name };
}

function withoutTexts(sql: string): string {
  return sql.replaceAll(/'(?:[^'\\]|''|\\.)*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\//g, " ");
}
