import { makeTable, snowflakeAccount, snowflakeSettings } from "../support/snowflake.ts";
import { type FeedHarness, type FeedTestRow, feedSuite } from "./feed-source.ts";

const COLUMNS = ["id", "name", "amount", "at"] as const;
const LIST = COLUMNS.map((column) => `"${column}"`).join(", ");
const DAY_MS = 86_400_000;

async function harness(kind: "streams" | "changes"): Promise<FeedHarness> {
  const server = await snowflakeAccount({ writes: kind === "streams" });
  const { account } = server;
  const make = () =>
    makeTable(
      server,
      "T",
      '"id" NUMBER(38,0) NOT NULL PRIMARY KEY, "name" VARCHAR, "amount" NUMBER(38,10), "at" TIMESTAMP_NTZ(6)',
    );
  await make();
  const run = (sql: string, binds: readonly (string | null)[] = []) => account.execute(account.admin, sql, { binds });
  const insert = async (rows: readonly FeedTestRow[]): Promise<void> => {
    if (rows.length === 0) return;
    const values = rows.map(() => "(?, ?, ?, ?)").join(", ");
    await run(
      `INSERT INTO SHOP.PUBLIC.T (${LIST}) VALUES ${values}`,
      rows.flatMap((row) => COLUMNS.map((column) => row[column])),
    );
  };
  return {
    source: { type: "snowflake", ...snowflakeSettings(server) },
    model: { table: "t" },
    async write({ insert: rows = [], update = [], delete: gone = [], rename = [] }) {
      await run("BEGIN TRANSACTION");
      await insert(rows);
      for (const { id, name, amount, at } of update)
        await run('UPDATE SHOP.PUBLIC.T SET "name" = ?, "amount" = ?, "at" = ? WHERE "id" = ?', [name, amount, at, id]);
      for (const id of gone) await run('DELETE FROM SHOP.PUBLIC.T WHERE "id" = ?', [id]);
      for (const [from, to] of rename) await run('UPDATE SHOP.PUBLIC.T SET "id" = ? WHERE "id" = ?', [to, from]);
      await run("COMMIT");
    },
    // Reclustering: new versions of the table, with the same rows in them.
    rewriteFiles: async () => {
      await run('UPDATE SHOP.PUBLIC.T SET "name" = "name"');
      return true;
    },
    async rows() {
      const { rows } = await run(`SELECT ${LIST} FROM SHOP.PUBLIC.T`);
      return new Map(
        rows.map((row) => [row[0]!, Object.fromEntries(COLUMNS.map((column, place) => [column, row[place]!]))]),
      );
    },
    loseHistory: async () => {
      account.advance((kind === "streams" ? 15 : 2) * DAY_MS);
      await Promise.resolve();
    },
    async recreate() {
      const { rows } = await run(`SELECT ${LIST} FROM SHOP.PUBLIC.T`);
      await make();
      await insert(rows.map(([id, name, amount, at]) => ({ id: id!, name: name!, amount: amount!, at: at! })));
    },
    faults: {
      unavailable: (times) => server.faults.add(({ sql }) => sql !== "", { kind: "status", status: 503 }, times),
      loseAnswers: (times) => server.faults.add(({ sql }) => sql !== "", { kind: "lost" }, times),
      endSession: () => void server.loseSessions(),
      get done() {
        return server.faults.done;
      },
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

feedSuite("Snowflake by streams", () => harness("streams"));
feedSuite("Snowflake by CHANGES", () => harness("changes"));
