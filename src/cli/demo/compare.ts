import pg from "pg";
import { GOLDEN_USERS } from "./golden-users.ts";

export interface Comparison {
  /** Rows of the source that are not, or not the same, at the destination. */
  readonly missing: number;
  /** Rows at the destination that are not in the source any more. */
  readonly extra: number;
}

/** Of rows, how many the source has. */
export interface RowComparison extends Comparison {
  readonly rows: number;
}

/** The mirrored users, row by row, in their databases' own words. */
export async function compareUsers(sourceUrl: string, mirrorUrl: string): Promise<Comparison> {
  return compareRows(
    await rowsOf(sourceUrl, "SELECT id::text, name, email, plan, lifetime_value::text FROM users"),
    await rowsOf(mirrorUrl, "SELECT id::text, full_name, email, plan, ltv::text FROM contacts"),
  );
}

/** The golden users: what the model's query gives now, and what the mirror holds. */
export async function compareGoldenUsers(sourceUrl: string, mirrorUrl: string): Promise<RowComparison> {
  const columns = "id::text, name, email, orders::text, spent::text, open_tickets::text";
  return compareRows(
    await rowsOf(sourceUrl, `SELECT ${columns} FROM (${GOLDEN_USERS}) AS model`),
    await rowsOf(mirrorUrl, `SELECT ${columns} FROM golden_users`),
  );
}

function compareRows(source: ReadonlyMap<string, string>, mirror: ReadonlyMap<string, string>): RowComparison {
  let missing = 0;
  for (const [id, row] of source) if (mirror.get(id) !== row) missing += 1;
  let extra = 0;
  for (const id of mirror.keys()) if (!source.has(id)) extra += 1;
  return { missing, extra, rows: source.size };
}

/** Events that should have come, against those that came. */
export function compareEvents(expected: readonly number[], came: ReadonlySet<number>): Comparison {
  const wanted = new Set(expected);
  return {
    missing: expected.filter((id) => !came.has(id)).length,
    extra: [...came].filter((id) => !wanted.has(id)).length,
  };
}

async function rowsOf(url: string, query: string): Promise<Map<string, string>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<string[]>({ text: query, rowMode: "array" });
    return new Map(rows.map((row) => [row[0]!, JSON.stringify(row)]));
  } finally {
    await client.end();
  }
}
