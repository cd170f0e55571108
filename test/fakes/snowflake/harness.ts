// The table of the suite of feeds, in the fake and, where one is given, in an account: TEST_SNOWFLAKE_ACCOUNT, _USER, _PRIVATE_KEY_FILE, _ROLE,
// _WAREHOUSE, and _DATABASE, in whose schemas PUBLIC and TAILRACE the role may make and drop tables and streams.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { settings } from "../../../src/sources/snowflake/settings.ts";
import { SnowflakeSession } from "../../../src/sources/snowflake/session.ts";
import type { FeedHarness, FeedTestRow } from "../../conformance/feed-source.ts";
import { snowflakeAccount, snowflakeSettings } from "../../support/snowflake.ts";

export type FeedKind = "streams" | "changes";
type Run = (sql: string, binds?: readonly (string | null)[]) => Promise<readonly (readonly (string | null)[])[]>;

const COLUMNS = ["id", "name", "amount", "at"] as const;
const LIST = COLUMNS.map((column) => `"${column}"`).join(", ");
const DEFINITIONS =
  '"id" NUMBER(38,0) NOT NULL PRIMARY KEY, "name" VARCHAR, "amount" NUMBER(38,10), "at" TIMESTAMP_NTZ(6)';
const TEXTS = `TO_VARCHAR("id"), "name", TO_VARCHAR("amount"), TO_VARCHAR("at", 'YYYY-MM-DD HH24:MI:SS.FF6')`;
const DAY_MS = 86_400_000;

/** What both have: the statements that write, and read. */
function tableOf(
  run: Run,
  table: string,
  make: () => Promise<void>,
): Pick<FeedHarness, "write" | "rewriteFiles" | "rows" | "recreate"> {
  const insert = async (rows: readonly FeedTestRow[]): Promise<void> => {
    if (rows.length === 0) return;
    const values = rows.map(() => "(?, ?, ?, ?)").join(", ");
    const binds = rows.flatMap((row) => COLUMNS.map((column) => row[column]));
    await run(`INSERT INTO ${table} (${LIST}) VALUES ${values}`, binds);
  };
  return {
    async write({ insert: rows = [], update = [], delete: gone = [], rename = [] }) {
      await run("BEGIN TRANSACTION");
      await insert(rows);
      for (const { id, name, amount, at } of update)
        await run(`UPDATE ${table} SET "name" = ?, "amount" = ?, "at" = ? WHERE "id" = ?`, [name, amount, at, id]);
      for (const id of gone) await run(`DELETE FROM ${table} WHERE "id" = ?`, [id]);
      for (const [from, to] of rename) await run(`UPDATE ${table} SET "id" = ? WHERE "id" = ?`, [to, from]);
      await run("COMMIT");
    },
    // As reclustering does: new versions of the table, with the same rows in them.
    rewriteFiles: async () => {
      await run(`UPDATE ${table} SET "name" = "name"`);
      return true;
    },
    async rows() {
      const rows = await run(`SELECT ${TEXTS} FROM ${table}`);
      return new Map(
        rows.map((row) => [row[0]!, Object.fromEntries(COLUMNS.map((column, place) => [column, row[place]!]))]),
      );
    },
    async recreate() {
      const rows = await run(`SELECT ${TEXTS} FROM ${table}`);
      await make();
      await insert(rows.map(([id, name, amount, at]) => ({ id: id!, name: name!, amount: amount!, at: at! })));
    },
  };
}

export async function fakeHarness(kind: FeedKind): Promise<FeedHarness> {
  const server = await snowflakeAccount({ writes: kind === "streams" });
  const { account, faults } = server;
  const run: Run = async (sql, binds = []) => (await account.execute(account.admin, sql, { binds })).rows;
  const make = async (): Promise<void> => {
    await run(`CREATE OR REPLACE TABLE SHOP.PUBLIC.T (${DEFINITIONS}) CHANGE_TRACKING = TRUE`);
    await run("GRANT SELECT ON TABLE SHOP.PUBLIC.T TO ROLE TAILRACE_ROLE");
  };
  await make();
  const isStatement = ({ sql }: { readonly sql: string }): boolean => sql !== "";
  return {
    ...tableOf(run, "SHOP.PUBLIC.T", make),
    source: { type: "snowflake", ...snowflakeSettings(server) },
    model: { table: "t" },
    loseHistory: () => Promise.resolve(account.advance((kind === "streams" ? 15 : 2) * DAY_MS)),
    faults: {
      unavailable: (times) => faults.add(isStatement, { kind: "status", status: 503 }, times),
      loseAnswers: (times) => faults.add(isStatement, { kind: "lost" }, times),
      endSession: () => void server.loseSessions(),
      get done() {
        return faults.done;
      },
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** null: no account is given. What goes wrong between it and us cannot be made to happen. */
export function accountHarness(kind: FeedKind, env: NodeJS.ProcessEnv): (() => Promise<FeedHarness>) | null {
  const [account, user, file, role, warehouse, database] = [
    "ACCOUNT",
    "USER",
    "PRIVATE_KEY_FILE",
    "ROLE",
    "WAREHOUSE",
    "DATABASE",
  ].map((name) => env[`TEST_SNOWFLAKE_${name}`]);
  if (account === undefined || file === undefined) return null;
  return async () => {
    const source = { account, user, private_key: readFileSync(file, "utf8"), role, warehouse, database, feed: kind };
    const session = new SnowflakeSession(settings.parse(source), ".");
    const run: Run = (sql, binds = []) =>
      session.rows(sql, { what: "test", binds, signal: AbortSignal.timeout(120_000) });
    const name = `TAILRACE_TEST_${randomBytes(4).toString("hex").toUpperCase()}`;
    const table = `${database!}.PUBLIC.${name}`;
    const make = async (): Promise<void> => {
      await run(`CREATE OR REPLACE TABLE ${table} (${DEFINITIONS}) CHANGE_TRACKING = TRUE`);
    };
    await make();
    return {
      ...tableOf(run, table, make),
      source: { type: "snowflake", ...source, poll: { fastest_ms: 500, slowest_ms: 1000 } },
      model: { table: name },
      loseHistory: null,
      // Nothing between us and an account can be made to fail: a fault that does nothing would prove nothing.
      faults: null,
      async [Symbol.asyncDispose]() {
        await run(`DROP TABLE IF EXISTS ${table}`);
        await session[Symbol.asyncDispose]();
      },
    };
  };
}
