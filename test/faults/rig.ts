// What every scenario stands on: a database with a load's table, a receiver with a ledger, and the real command line between.
import { createHash } from "node:crypto";
import { type Cli, startCli } from "../support/cli.ts";
import { envelopeReader, keyText } from "../support/envelope.ts";
import { loadTable } from "../support/load-statements.ts";
import { compare } from "../support/oracle.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import type { Script } from "../support/receiver-script.ts";

export const TABLE = "public.load";

export interface RigOptions {
  readonly postgresUrl: string;
  readonly script?: Script | Script["answer"] | undefined;
  /** Rows that are there before the first run. */
  readonly rows?: number | undefined;
  /** Of one text of each of them. Default 1000: 4,000 rows are more than one chunk of a backfill. */
  readonly rowBytes?: number | undefined;
  /** Keys of the webhook destination, as YAML of one line. Default: batches of 200 rows. */
  readonly destination?: string | undefined;
  /** Added to the configuration. */
  readonly config?: string | undefined;
  /** Of every command. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Where the engine finds the database and the receiver, when not directly. */
  readonly through?: {
    readonly database?: (url: string) => string;
    readonly receiver?: (url: string) => Promise<string>;
  };
}

export interface Rig extends AsyncDisposable {
  readonly database: TestDatabase;
  readonly receiver: Receiver;
  /** Of the configuration. */
  readonly folder: string;
  /** `tailrace run`, or another command of the same project. */
  start(options?: { readonly args?: readonly string[]; readonly env?: Readonly<Record<string, string>> }): Cli;
  /** Starts the engine once more, without faults of its own; resolves when all that is committed is delivered. */
  catchUp(): Promise<void>;
  /** Resolves when the receiver has what the table holds, and `engine` has stopped cleanly; rejects after `withinMs`. */
  settled(engine: Cli, withinMs: number): Promise<void>;
  /** Keys of the rows that are kept as dead letters, as the command line tells them. */
  deadLetters(): Promise<readonly string[]>;
}

export async function startRig(options: RigOptions): Promise<Rig> {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await testDatabase(options.postgresUrl));
  await database.sql(loadTable(TABLE));
  if (options.rows !== undefined) await database.sql(rowsOf(options.rows, options.rowBytes ?? 1_000));
  const receiver = stack.use(await startReceiver({ script: options.script, rows: compactReader, keepBodies: false }));
  const source = options.through?.database?.(database.url) ?? database.url;
  const target = (await options.through?.receiver?.(receiver.url)) ?? receiver.url;
  const at = stack.use(
    await testProject(`
sources: { db: { type: postgres, url: "${source}" } }
models: { load: { source: db, table: ${TABLE} } }
destinations:
  receiver: { type: webhook, url: "${target}", allow_private: true, ${options.destination ?? DESTINATION} }
syncs: { load: { model: load, destination: receiver, mode: mirror, max_deletes: 100% } }
${options.config ?? ""}
`),
  );
  const start: Rig["start"] = ({ args = ["run"], env } = {}) =>
    startCli([...args, "-c", at.folder], { cwd: at.folder, env: { ...options.env, ...env } });
  const kept = stack.move();
  return {
    database,
    receiver,
    folder: at.folder,
    start,
    catchUp: async () => {
      await receiver.restart();
      await using engine = start({ args: ["run", "--once"] });
      const { code, signal } = await engine.exit;
      if (code !== 0) throw new Error(`run --once ended with ${code ?? signal}: ${lastLines(engine)}`);
    },
    settled: async (engine, withinMs) => {
      const giveUpAtMs = performance.now() + withinMs;
      for (;;) {
        const { equal, lost, different, extra } = await compare(await receiver.ledger.read(), database, COMPACT_TABLE);
        if (equal) break;
        if (performance.now() > giveUpAtMs) {
          const missing = `${lost.length} rows missing, ${different.length} values different, ${extra.length} rows too many`;
          throw new Error(`not delivered within ${withinMs} ms: ${missing} ${lastLines(engine)}`);
        }
        const { acknowledgedRows } = receiver.counts;
        await receiver.until(({ counts }) => counts.acknowledgedRows > acknowledgedRows, 1_000).catch(() => {});
      }
      engine.kill("SIGTERM");
      const { code, signal } = await engine.exit;
      if (code !== 0) throw new Error(`the engine ended with ${code ?? signal}: ${lastLines(engine)}`);
    },
    deadLetters: async () => {
      await using list = start({ args: ["failures", "list", "load", "--json", "--limit", "1000000"] });
      const { code } = await list.exit;
      if (code !== 0) throw new Error(`failures list ended with ${code}:\n${list.stderr.join("\n")}`);
      const { failures } = JSON.parse(list.stdout.join("")) as { failures: { key: readonly string[] }[] };
      return failures.map(({ key }) => keyText(key));
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** For an error: what the command said last. */
export function lastLines({ stdout, stderr }: Cli): string {
  return `\n${[...stdout.slice(-5), ...stderr.slice(-5)].join("\n")}`;
}

const DESTINATION = "batch: { format: array, rows: 200 }";

function rowsOf(count: number, bytes: number): string {
  return `INSERT INTO ${TABLE} (id, version, name, note) SELECT n, n, 'row ' || n, repeat('x', ${bytes}) FROM generate_series(1, ${count}) n`;
}

const LONG_BYTES = 100;
const readEnvelopes = envelopeReader();

/** Long notes are kept as their MD5: a ledger of a long run stays in memory. */
const compactReader: typeof readEnvelopes = (body, head) =>
  readEnvelopes(body, head).map((row) => {
    const note = row.record?.["note"];
    if (typeof note !== "string" || Buffer.byteLength(note) <= LONG_BYTES) return row;
    return { ...row, record: { ...row.record, note: createHash("md5").update(note).digest("hex") } };
  });

/** The table as {@link compactReader} sees it. */
export const COMPACT_TABLE = {
  table: TABLE,
  key: ["id"],
  mapping: {
    ...Object.fromEntries(["id", "version", "name", "amount", "active", "seen_at", "doc"].map((name) => [name, name])),
    note: `CASE WHEN octet_length(note) > ${LONG_BYTES} THEN md5(note) ELSE note END`,
  },
};
