import { startServer } from "../../../src/cli/demo/embedded-postgres.ts";
import { quoteName } from "../../../src/kit/sql.ts";
import { runCli } from "../../support/cli.ts";
import type { LedgerRequest } from "../../support/ledger.ts";
import { type RowTexts, compare } from "../../support/oracle.ts";
import { type TestDatabase, testDatabase } from "../../support/postgres.ts";
import { prng } from "../../support/prng.ts";
import { testProject } from "../../support/project.ts";
import { startReceiver } from "../../support/receiver.ts";
import { corpusTable } from "../../support/type-corpus.ts";
import { GENERATED_TABLE, generatedRows } from "../generated-rows.ts";
import { serverOf, type Version } from "../postgres-versions.ts";
import type { Scenario } from "../scenario.ts";

const SIZES: Record<"short" | "full", { versions: readonly Version[]; generated: number }> = {
  short: { versions: [18], generated: 50 },
  full: { versions: [15, 16, 17, 18], generated: 400 },
};
const ZONES = ["Asia/Tokyo", "America/New_York", "Europe/London"];
const CORPUS = corpusTable();

export const types: Scenario = {
  name: "types",
  summary: "values of every type, by backfill and by stream, in three time zones and four versions, against col::text",
  async run({ seed, scale, log }) {
    const { versions, generated } = SIZES[scale];
    let values = 0;
    let different = 0;
    let unlike = 0;
    for (const version of versions) {
      await using server = version === 18 ? await startServer() : await serverOf(version, log);
      for (const zone of ZONES) {
        const one = await inZone(server.url(), zone, seed, generated);
        values += one.values;
        different += one.different;
        unlike += one.unlike;
        log(`PostgreSQL ${version}, ${zone}: ${one.values} values, ${one.different} different from col::text`);
      }
    }
    return {
      scenario: "types",
      seed,
      kills: 0,
      changes: values,
      lost: different,
      inversions: 0,
      duplicates: { p50: 0, p99: 0, max: 0 },
      ok: different === 0 && unlike === 0,
      figures: {
        versions: versions.join(", "),
        zones: ZONES.join(", "),
        types: CORPUS.columns.length,
        values,
        differentFromText: different,
        backfillUnlikeStream: unlike,
      },
    };
  },
};

interface Counted {
  /** That were compared with `col::text`. */
  readonly values: number;
  readonly different: number;
  /** Rows whose JSON by the backfill is another than by the stream. */
  readonly unlike: number;
}

const TABLES = ["corpus", "generated"] as const;
type Table = (typeof TABLES)[number];

async function inZone(serverUrl: string, zone: string, seed: number, generated: number): Promise<Counted> {
  await using database = await testDatabase(serverUrl);
  const rows: Record<Table, number> = { corpus: CORPUS.inserts.length, generated };
  await database.sql(
    `${CORPUS.create}; ALTER TABLE ${CORPUS.sql} SET SCHEMA public; ALTER TABLE public."every type" RENAME TO corpus`,
  );
  await database.sql(GENERATED_TABLE);
  await insertAll(database, seed, generated, 0);
  // What the engine must not be led astray by.
  await database.sql(`
    ALTER DATABASE ${database.name} SET TimeZone = '${zone}';
    ALTER DATABASE ${database.name} SET DateStyle = 'German';
    ALTER DATABASE ${database.name} SET IntervalStyle = 'iso_8601';
    ALTER DATABASE ${database.name} SET bytea_output = 'escape';
    ALTER DATABASE ${database.name} SET extra_float_digits = 0`);
  await using receiver = await startReceiver();
  await using project = await testProject(configOf(database.url, receiver.url));
  const run = async (): Promise<void> => {
    const { code, stdout } = await runCli(["run", "--once", "-c", project.folder], {
      cwd: project.folder,
      env: { TZ: zone },
    });
    if (code !== 0) throw new Error(`run --once ended with ${code}:\n${stdout.slice(-2000)}`);
  };
  await run();
  await insertAll(database, seed, generated, OFFSET);
  await run();
  // How the engine's documentation says that values are printed.
  await database.sql(
    "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; SET extra_float_digits = 1; SET xmlbinary = 'base64'; SET search_path = pg_catalog",
  );
  const requests = receiver.requests();
  const counted = { values: 0, different: 0, unlike: 0 };
  for (const table of TABLES) {
    const texts = requests.filter(({ path }) => path === `/${table}_text`);
    const columns = await columnsOf(database, table);
    const { lost, different } = await compare(texts, database, { table: quoteName("public", table), key: ["id"] });
    counted.values += 2 * rows[table] * columns.length;
    counted.different += lost.length * columns.length + different.length;
    const plain = recordsOf(requests.filter(({ path }) => path === `/${table}_plain`));
    for (let id = 1; id <= rows[table]; id += 1) {
      if (jsonOf(plain.get(String(id))) !== jsonOf(plain.get(String(id + OFFSET)))) counted.unlike += 1;
    }
  }
  return counted;

  function configOf(url: string, receiverUrl: string): string {
    const syncs = TABLES.flatMap((table) => {
      const of = table === "corpus" ? CORPUS.columns : GENERATED_COLUMNS;
      const map = Object.fromEntries(["id", ...of].map((name) => [name, { column: name, as: "string" }]));
      const head = `model: ${table}, destination: receiver, mode: mirror`;
      return [
        `  ${table}_text: { ${head}, options: { path: /${table}_text }, map: ${JSON.stringify(map)} }`,
        `  ${table}_plain: { ${head}, options: { path: /${table}_plain } }`,
      ];
    });
    return `
sources: { db: { type: postgres, url: "${url}" } }
models: { corpus: { source: db, table: public.corpus }, generated: { source: db, table: public.generated } }
destinations: { receiver: { type: webhook, url: "${receiverUrl}", allow_private: true, batch: { format: array } } }
syncs:
${syncs.join("\n")}
`;
  }
}

/** Rows that come by the stream have the ids of those that came by the backfill, and this. */
const OFFSET = 100_000;
const GENERATED_COLUMNS = [...GENERATED_TABLE.matchAll(/\b(g\d+) /g)].map(([, name]) => name!);

async function insertAll(database: TestDatabase, seed: number, generated: number, offset: number): Promise<void> {
  for (const insert of CORPUS.inserts) {
    await database.sql(
      insert
        .replace(CORPUS.sql, "public.corpus")
        .replace(/VALUES \((\d+),/, (_, id: string) => `VALUES (${Number(id) + offset},`),
    );
  }
  await database.sql(generatedRows(prng(seed), 1 + offset, generated + offset));
}

async function columnsOf(database: TestDatabase, table: string): Promise<readonly string[]> {
  const rows = await database.rows(
    "SELECT attname::text AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped",
    [quoteName("public", table)],
  );
  return rows.map(({ name }) => name!);
}

function recordsOf(requests: readonly LedgerRequest[]): ReadonlyMap<string, RowTexts> {
  return new Map(requests.flatMap(({ rows }) => rows.map(({ key, record }) => [key, record ?? {}])));
}

function jsonOf(record: RowTexts | undefined): string {
  if (record === undefined) return "missing";
  const { id: _, ...rest } = record;
  return JSON.stringify(rest);
}
