import { startCli } from "../support/cli.ts";
import { envelopeReader } from "../support/envelope.ts";
import { testProject } from "../support/project.ts";
import { poll, withClient } from "./database.ts";
import type { Kind, Setting, Subject } from "./subject.ts";

export const tailrace: Kind = { name: "tailrace", rows: envelopeReader(), create };

async function create(setting: Setting): Promise<Subject> {
  const { databaseUrl, receiverUrl, table, name, batchRows, timeoutMs } = setting;
  const batch = batchRows === null ? "" : `, batch: { format: array, rows: ${batchRows} }`;
  const timeout = timeoutMs === null ? "" : `, timeout_ms: ${timeoutMs}`;
  const slot = `tailrace_${name}`;
  const project = await testProject(`
sources: { db: { type: postgres, url: "${databaseUrl}", slot: ${slot} } }
models: { rows: { source: db, table: ${table} } }
destinations: { receiver: { type: webhook, url: "${receiverUrl}", allow_private: true${batch}${timeout} } }
syncs: { ${name}: { model: rows, destination: receiver, mode: mirror, max_deletes: 100% } }
`);
  const run = (...options: string[]): ReturnType<typeof startCli> =>
    startCli(["run", ...options, "-c", project.folder], { cwd: project.folder });
  const once = async (): Promise<void> => {
    await using cli = run("--once");
    const { code } = await cli.exit;
    if (code !== 0) throw new Error(`tailrace run --once ended with ${code}:\n${cli.stderr.join("\n")}`);
  };
  return {
    name: "tailrace",
    slot,
    prepare: async (warmUp) => {
      await warmUp();
      await once();
    },
    start: () => {
      const cli = run();
      return {
        exit: cli.exit,
        kill: (signal) => cli.kill(signal),
        tail: () => [...cli.stdout.slice(-10), ...cli.stderr.slice(-10)].join("\n"),
        [Symbol.asyncDispose]: () => cli[Symbol.asyncDispose](),
      };
    },
    // Keys go their own ways: the last row may be there before another's. What is delivered, the slot is told.
    delivered: () =>
      withClient(databaseUrl, async (client) => {
        const { rows } = await client.query<{ lsn: string }>("SELECT pg_current_wal_insert_lsn()::text AS lsn");
        const text = "SELECT 1 FROM pg_replication_slots WHERE slot_name = $1 AND confirmed_flush_lsn >= $2";
        await poll(async () => (await client.query(text, [slot, rows[0]?.lsn])).rowCount === 1);
      }),
    [Symbol.asyncDispose]: () => project[Symbol.asyncDispose](),
  };
}
