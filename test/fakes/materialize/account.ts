// The same table in a real Materialize, where one is given: TEST_MATERIALIZE_URL, whose role may make and drop tables in its database's public schema.
import { randomBytes } from "node:crypto";
import pg from "pg";
import { RAW_TEXT } from "../../../src/kit/postgres/client-config.ts";
import { quoteLiteral } from "../../../src/kit/sql.ts";
import type { FeedHarness, FeedTestRow } from "../../conformance/feed-source.ts";

export async function accountHarness(url: string): Promise<FeedHarness> {
  const client = new pg.Client({ connectionString: url, types: RAW_TEXT });
  await client.connect();
  const name = `tailrace_test_${randomBytes(6).toString("hex")}`;
  const make = (): Promise<unknown> =>
    client.query(
      `CREATE TABLE ${name} (id bigint, name text, amount numeric(38,10), at timestamptz) WITH (RETAIN HISTORY FOR '1hr')`,
    );
  await make();
  const insert = (rows: readonly FeedTestRow[]): Promise<unknown> =>
    client.query(`INSERT INTO ${name} VALUES ${rows.map((row) => `(${literals(row)})`).join(", ")}`);
  return {
    source: { type: "materialize", url },
    model: { table: name, key: "id" },
    // A transaction of Materialize writes only, and of one kind: each part is a commit of its own.
    write: async ({ insert: added = [], update = [], delete: gone = [], rename = [] }) => {
      for (const { id, ...others } of update) {
        const set = Object.entries(others).map(([column, value]) => `${column} = ${literal(value)}`);
        await client.query(`UPDATE ${name} SET ${set.join(", ")} WHERE id = ${id}`);
      }
      for (const [from, to] of rename) await client.query(`UPDATE ${name} SET id = ${to} WHERE id = ${from}`);
      if (gone.length > 0) await client.query(`DELETE FROM ${name} WHERE id IN (${gone.join(", ")})`);
      if (added.length > 0) await insert(added);
    },
    rewriteFiles: () => Promise.resolve(false),
    rows: async () => {
      const { rows } = await client.query<Record<string, string | null>>(`SELECT id, name, amount, at FROM ${name}`);
      return new Map(rows.map((row) => [row["id"]!, row]));
    },
    // Compaction comes when it comes.
    loseHistory: null,
    recreate: async () => {
      const { rows } = await client.query<FeedTestRow & pg.QueryResultRow>(`SELECT id, name, amount, at FROM ${name}`);
      await client.query(`DROP TABLE ${name}`);
      await make();
      if (rows.length > 0) await insert(rows);
    },
    faults: null,
    [Symbol.asyncDispose]: async () => {
      await client.query(`DROP TABLE ${name}`);
      await client.end();
    },
  };
}

function literals({ id, name, amount, at }: FeedTestRow): string {
  return [id, name, amount, at].map(literal).join(", ");
}

function literal(text: string | null): string {
  return text === null ? "NULL" : quoteLiteral(text).trim();
}
