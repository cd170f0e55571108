// What the planner would do with a statement that is run with other parameters again and again.
import type pg from "pg";

export interface PlanNode {
  readonly "Node Type": string;
  readonly "Total Cost": number;
  readonly "Plan Rows": number;
  readonly Schema?: string;
  readonly "Relation Name"?: string;
  readonly Alias?: string;
  readonly "Index Cond"?: string;
  readonly Filter?: string;
  readonly "Join Filter"?: string;
  readonly Plans?: readonly PlanNode[];
}

/** `client`: a session for models. `settings`: for the planner, for this once. */
export async function planOf(
  client: pg.Client,
  sql: string,
  parameters: number,
  settings: readonly string[] = [],
): Promise<PlanNode> {
  const text = await explainPrepared(client, sql, parameters, "FORMAT JSON, VERBOSE", settings);
  return (JSON.parse(text) as { readonly Plan: PlanNode }[])[0]!.Plan;
}

/** The plan as people read it. */
export function planText(client: pg.Client, sql: string, parameters: number): Promise<string> {
  return explainPrepared(client, sql, parameters, "COSTS", []);
}

// EXPLAIN (GENERIC_PLAN) came with 16; a session for models plans what is prepared in that way anyhow.
async function explainPrepared(
  client: pg.Client,
  sql: string,
  parameters: number,
  options: string,
  settings: readonly string[],
): Promise<string> {
  const values = parameters === 0 ? "" : `(${Array.from({ length: parameters }, () => "NULL").join(", ")})`;
  await client.query("BEGIN");
  for (const setting of settings) await client.query(`SET LOCAL ${setting}`);
  await client.query(`PREPARE tailrace_planned AS ${sql}`);
  const { rows } = await client.query<{ "QUERY PLAN": string }>(
    `EXPLAIN (${options}) EXECUTE tailrace_planned${values}`,
  );
  await client.query("DEALLOCATE tailrace_planned");
  await client.query("COMMIT");
  return rows.map((row) => row["QUERY PLAN"]).join("\n");
}
