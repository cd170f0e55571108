// The same table in a real workspace, where one is given: TEST_DATABRICKS_HOST, _HTTP_PATH, _TOKEN, and _SCHEMA (`catalog.schema`, where tables may
// be made and dropped).
import { randomBytes } from "node:crypto";
import { DBSQLClient } from "@databricks/sql";
import type { FeedCommit, FeedHarness, FeedTestRow } from "../../conformance/feed-source.ts";

export interface Account {
  readonly host: string;
  readonly http_path: string;
  readonly token: string;
  /** `catalog.schema` */
  readonly schema: string;
}

/** null: none is given. */
export function databricksAccount(env: NodeJS.ProcessEnv): Account | null {
  const [host, http_path, token, schema] = ["HOST", "HTTP_PATH", "TOKEN", "SCHEMA"].map(
    (name) => env[`TEST_DATABRICKS_${name}`],
  );
  return host && http_path && token && schema ? { host, http_path, token, schema } : null;
}

export async function accountHarness(
  { schema, ...login }: Account,
  properties: Readonly<Record<string, string>>,
): Promise<FeedHarness> {
  const client = new DBSQLClient({ logger: { log() {} } });
  await client.connect({ host: login.host, path: login.http_path, token: login.token, telemetryEnabled: false });
  const [initialCatalog, initialSchema] = schema.split(".");
  const session = await client.openSession({
    initialCatalog: initialCatalog!,
    initialSchema: initialSchema!,
    configuration: { TIMEZONE: "UTC" },
  });
  const sql = async (text: string): Promise<Record<string, string | null>[]> => {
    const operation = await session.executeStatement(text);
    const rows = (await operation.fetchAll()) as Record<string, string | null>[];
    await operation.close();
    return rows;
  };
  const name = `tailrace_test_${randomBytes(6).toString("hex")}`;
  const set = Object.entries(properties).map(([key, value]) => `'${key}' = '${value}'`);
  const columns = "id BIGINT NOT NULL, name STRING, amount DECIMAL(38,10), `at` TIMESTAMP";
  const make = (): Promise<unknown> => sql(`CREATE TABLE ${name} (${columns}) TBLPROPERTIES (${set.join(", ")})`);
  await make();
  return {
    source: { type: "databricks", ...login, catalog: initialCatalog, poll: { fastest_ms: 200, slowest_ms: 1_000 } },
    model: { table: `${initialSchema}.${name}`, key: "id" },
    write: async (commit) => void (await sql(merge(name, commit))),
    rewriteFiles: async () => {
      await sql(`OPTIMIZE ${name}`);
      return true;
    },
    rows: async () => {
      const rows = await sql(
        `SELECT CAST(id AS STRING) AS id, name, CAST(amount AS STRING) AS amount, CAST(\`at\` AS STRING) || '+00' AS \`at\` FROM ${name}`,
      );
      return new Map(rows.map((row) => [row["id"]!, row]));
    },
    // VACUUM with a short retention asks for a setting of the session that a SQL warehouse does not allow.
    loseHistory: null,
    recreate: async () => {
      await sql(`CREATE TABLE ${name}_kept AS SELECT * FROM ${name}`);
      await sql(`DROP TABLE ${name}`);
      await make();
      await sql(`INSERT INTO ${name} SELECT * FROM ${name}_kept`);
      await sql(`DROP TABLE ${name}_kept`);
    },
    faults: null,
    [Symbol.asyncDispose]: async () => {
      await sql(`DROP TABLE IF EXISTS ${name}`);
      await session.close();
      await client.close();
    },
  };
}

/** One commit, as one MERGE. */
function merge(name: string, { insert = [], update = [], delete: gone = [], rename = [] }: FeedCommit): string {
  const rows = [
    ...[...insert, ...update].map((row) => `SELECT 'put' AS op, ${values(row)}, CAST(NULL AS BIGINT) AS target`),
    ...gone.map(
      (id) =>
        `SELECT 'delete' AS op, ${values({ id, name: null, amount: null, at: null })}, CAST(NULL AS BIGINT) AS target`,
    ),
    ...rename.map(
      ([from, to]) =>
        `SELECT 'rename' AS op, ${values({ id: from, name: null, amount: null, at: null })}, CAST('${to}' AS BIGINT) AS target`,
    ),
  ];
  return `MERGE INTO ${name} AS t USING (${rows.join(" UNION ALL ")}) AS s ON t.id = s.id
WHEN MATCHED AND s.op = 'delete' THEN DELETE
WHEN MATCHED AND s.op = 'rename' THEN UPDATE SET id = s.target
WHEN MATCHED THEN UPDATE SET name = s.name, amount = s.amount, \`at\` = s.\`at\`
WHEN NOT MATCHED THEN INSERT (id, name, amount, \`at\`) VALUES (s.id, s.name, s.amount, s.\`at\`)`;
}

function values({ id, name, amount, at }: FeedTestRow): string {
  const text = (value: string | null): string =>
    value === null ? "NULL" : `'${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  return `CAST(${text(id)} AS BIGINT) AS id, CAST(${text(name)} AS STRING) AS name, CAST(${text(amount)} AS DECIMAL(38,10)) AS amount, CAST(${text(at)} AS TIMESTAMP) AS \`at\``;
}
