// The same table in a real project, where one is given: TEST_BIGQUERY_PROJECT, _DATASET (where tables may be made and dropped), and _KEY_FILE, or
// application default credentials.
import { randomBytes } from "node:crypto";
import { BigQuery } from "@google-cloud/bigquery";
import type { FeedCommit, FeedHarness, FeedTestRow } from "../../conformance/feed-source.ts";

export interface Account {
  readonly project: string;
  readonly dataset: string;
  readonly keyFile: string | undefined;
}

/** null: none is given. */
export function bigqueryAccount(env: NodeJS.ProcessEnv): Account | null {
  const [project, dataset, keyFile] = ["PROJECT", "DATASET", "KEY_FILE"].map((name) => env[`TEST_BIGQUERY_${name}`]);
  return project && dataset ? { project, dataset, keyFile } : null;
}

export async function accountHarness({ project, dataset, keyFile }: Account): Promise<FeedHarness> {
  const client = new BigQuery({ projectId: project, ...(keyFile === undefined ? {} : { keyFilename: keyFile }) });
  const sql = async (query: string) => (await client.query({ query }))[0] as Record<string, string | null>[];
  const name = `tailrace_test_${randomBytes(6).toString("hex")}`;
  const table = `\`${project}\`.\`${dataset}\`.\`${name}\``;
  const columns = "id INT64 NOT NULL, name STRING, amount BIGNUMERIC, at TIMESTAMP, PRIMARY KEY (id) NOT ENFORCED";
  const make = () => sql(`CREATE TABLE ${table} (${columns}) OPTIONS (enable_change_history = TRUE)`);
  await make();
  return {
    source: {
      type: "bigquery",
      project,
      dataset,
      ...(keyFile === undefined ? {} : { key_file: keyFile }),
      poll: { fastest_ms: 500, slowest_ms: 1000 },
    },
    model: { table: name },
    write: async (commit) => void (await sql(merge(table, commit))),
    rewriteFiles: () => Promise.resolve(false),
    rows: async () => {
      const rows = await sql(
        `SELECT CAST(id AS STRING) AS id, name, CAST(amount AS STRING) AS amount, STRING(at, 'UTC') AS at FROM ${table}`,
      );
      return new Map(rows.map((row) => [row["id"]!, row]));
    },
    // Time travel keeps it for two days at the least.
    loseHistory: null,
    recreate: async () => {
      const kept = `\`${project}\`.\`${dataset}\`.\`${name}_kept\``;
      await sql(`CREATE TABLE ${kept} AS SELECT * FROM ${table}`);
      await sql(`DROP TABLE ${table}`);
      await make();
      await sql(`INSERT INTO ${table} SELECT * FROM ${kept}`);
      await sql(`DROP TABLE ${kept}`);
    },
    faults: null,
    [Symbol.asyncDispose]: async () => {
      await sql(`DROP TABLE IF EXISTS ${table}`);
    },
  };
}

/** One commit, as one MERGE. */
export function merge(table: string, { insert = [], update = [], delete: gone = [], rename = [] }: FeedCommit): string {
  const nothing = { name: null, amount: null, at: null };
  const rows = [
    ...[...insert, ...update].map((row) => struct("put", row, null)),
    ...gone.map((id) => struct("delete", { ...nothing, id }, null)),
    ...rename.map(([from, to]) => struct("rename", { ...nothing, id: from }, to)),
  ];
  return `MERGE INTO ${table} AS t USING (SELECT * FROM UNNEST([${rows.join(", ")}])) AS s ON t.id = s.id
WHEN MATCHED AND s.op = 'delete' THEN DELETE
WHEN MATCHED AND s.op = 'rename' THEN UPDATE SET id = s.target
WHEN MATCHED THEN UPDATE SET name = s.name, amount = s.amount, at = s.at
WHEN NOT MATCHED THEN INSERT (id, name, amount, at) VALUES (s.id, s.name, s.amount, s.at)`;
}

function struct(op: string, { id, name, amount, at }: FeedTestRow, target: string | null): string {
  const text = (value: string | null): string =>
    value === null
      ? "NULL"
      : `'${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'").replaceAll("\n", "\\n").replaceAll("\t", "\\t")}'`;
  const time = at === null ? "NULL" : `'${at}+00'`;
  return `STRUCT(${text(op)} AS op, CAST(${text(id)} AS INT64) AS id, CAST(${text(name)} AS STRING) AS name, CAST(${text(amount)} AS BIGNUMERIC) AS amount, CAST(${time} AS TIMESTAMP) AS at, CAST(${text(target)} AS INT64) AS target)`;
}
