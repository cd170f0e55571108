import { type Cli, startCli } from "../../support/cli.ts";
import { compare } from "../../support/oracle.ts";
import { databaseAt } from "../../support/postgres.ts";
import { testProject } from "../../support/project.ts";
import { startReceiver } from "../../support/receiver.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import { GAPS, type Gap, setUp, type Stage } from "../gaps.ts";
import { serverOf } from "../postgres-versions.ts";
import type { Scenario } from "../scenario.ts";
import { sqlOn } from "../sql.ts";

const SHORT = ["slot recreated", "database restored", "table out and in", "publication recreated, running"];
const NOTICED_WITHIN_MS = 60_000;
const ENDS_WITHIN_MS = 60_000;

export const continuity: Scenario = {
  name: "continuity",
  summary: "holes in the log, and other logs: each is refused by name, and a resync makes the destination whole",
  async run({ seed, scale, log }) {
    const gaps = GAPS.filter(({ name }) => scale === "full" || SHORT.includes(name));
    const figures: Record<string, string> = {};
    let silent = 0;
    let unmended = 0;
    for (const gap of gaps) {
      const { said, silent: isSilent, whole } = await provoke(gap, log);
      if (isSilent) silent += 1;
      if (!whole) unmended += 1;
      figures[gap.name] = `${isSilent ? "SILENT" : said}${whole ? "" : ", NOT WHOLE AFTER A RESYNC"}`;
      log(`${gap.name}: ${figures[gap.name]}`);
    }
    return {
      scenario: "continuity",
      seed,
      kills: gaps.length,
      changes: 0,
      lost: silent,
      inversions: 0,
      duplicates: { p50: 0, p99: 0, max: 0 },
      ok: silent === 0 && unmended === 0,
      figures: { refused: `${gaps.length - silent} of ${gaps.length}`, ...figures },
    };
  },
};

interface Result {
  /** The code that the sync stopped with, or that it went on and nothing was missing. */
  readonly said: string;
  /** It went on as if nothing had been, and rows are missing. */
  readonly silent: boolean;
  /** After mending and a resync, nothing is missing. */
  readonly whole: boolean;
}

const DATABASE = "shop";
const SLOT = "tailrace_gaps_db";
const TABLE = { table: "public.t", key: ["id"] };

async function provoke(gap: Gap, log: (line: string) => void): Promise<Result> {
  await using stack = new AsyncDisposableStack();
  const version = gap.version ?? 18;
  const server = stack.use(await serverOf(version, log, gap.server));
  let leadsTo = server;
  await sqlOn(server.url())(`CREATE DATABASE ${DATABASE}`);
  const sql = sqlOn(server.url(DATABASE));
  await setUp(sql, DATABASE);
  const proxy = stack.use(await startTcpProxy({ host: "127.0.0.1", port: server.port }));
  const receiver = stack.use(await startReceiver());
  const url = new URL(proxy.through(server.url(DATABASE)));
  url.username = "engine";
  url.password = "engine";
  const project = stack.use(
    await testProject(`
name: gaps
sources: { db: { type: postgres, url: "${url.href}" } }
models: { t: { source: db, table: public.t } }
destinations: { receiver: { type: webhook, url: "${receiver.url}", allow_private: true, batch: { format: array } } }
syncs: { t: { model: t, destination: receiver, mode: mirror, max_deletes: 100% } }
`),
  );
  const start = (...args: string[]): Cli => startCli([...args, "-c", project.folder], { cwd: project.folder });
  const once = async (): Promise<string | null> => {
    await using engine = start("run", "--once");
    const timer = setTimeout(() => engine.kill(), ENDS_WITHIN_MS);
    const { code } = await engine.exit;
    clearTimeout(timer);
    return code === 0 ? null : (stopCode(engine) ?? engine.stderr.at(-1) ?? `exit ${code}`);
  };
  const resync = async (): Promise<void> => {
    await using request = start("resync", "t");
    await request.exit;
  };
  let rows = 0;
  const stage: Stage = {
    server,
    database: DATABASE,
    sql,
    publication: SLOT,
    slot: SLOT,
    write: async (count) => {
      await sql(`INSERT INTO t SELECT g, 'row ' || g FROM generate_series(${rows + 1}, ${rows + count}) g`);
      rows += count;
    },
    deliver: async () => {
      const problem = await once();
      if (problem !== null) throw new Error(`${gap.name}: could not deliver: ${problem}`);
    },
    resync,
    another: async () => stack.use(await serverOf(version, log, gap.server)),
    lead: (to) => {
      leadsTo = to;
      proxy.target({ host: "127.0.0.1", port: to.port });
      proxy.cutAll();
    },
  };
  const missing = async (): Promise<number> => {
    await using database = await databaseAt(leadsTo.url(DATABASE));
    const { lost, different } = await compare(receiver.ledger.entries, database, TABLE);
    return lost.length + different.length;
  };

  await stage.write(50);
  await stage.deliver();
  await stage.write(50);
  await stage.deliver();
  let said: string | null;
  if (gap.during === "stopped") {
    await gap.make(stage);
    said = await once();
  } else {
    await using engine = start("run");
    const before = receiver.counts.acknowledgedRows;
    await stage.write(1);
    await receiver.until(({ counts }) => counts.acknowledgedRows > before);
    await gap.make(stage);
    await engine.waitFor((line) => line.includes('"the sync stopped"'), NOTICED_WITHIN_MS).catch(() => {});
    said = stopCode(engine);
  }
  const silent = said === null && (await missing()) > 0;
  await gap.mend?.(stage);
  if (said !== null) await resync();
  const problem = await once();
  if (problem !== null) log(`${gap.name}: after a resync: ${problem}`);
  return {
    said: said ?? "went on, nothing missing",
    silent,
    whole: problem === null && (await missing()) === 0,
  };
}

function stopCode(engine: Cli): string | null {
  const stopped = engine.events().findLast(({ level, code }) => level === "error" && typeof code === "string");
  return stopped === undefined ? null : String(stopped["code"]);
}
