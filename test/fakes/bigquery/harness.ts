import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FeedCommit, FeedHarness, FeedTestRow } from "../../conformance/feed-source.ts";
import { PROJECT } from "./project.ts";
import { BigQueryServer } from "./server.ts";
import type { Values, Write } from "./store.ts";

const FIELDS = [
  { name: "id", type: "INT64", mode: "REQUIRED" },
  { name: "name", type: "STRING" },
  { name: "amount", type: "BIGNUMERIC" },
  { name: "at", type: "TIMESTAMP" },
];
const TABLE = "shop.t";

export async function bigqueryHarness(): Promise<FeedHarness> {
  const server = await BigQueryServer.start();
  // So that halves of updates are on both sides of a border.
  server.pageRows = 7;
  server.authenticates = true;
  const folder = await mkdtemp(join(tmpdir(), "tailrace-test-bigquery-"));
  const subject = join(folder, "subject");
  await writeFile(subject, "who asks");
  let tokens = 0;
  const create = () => server.create(TABLE, FIELDS, { key: ["id"] });
  await create();
  const rows = () => server.rows("SELECT id, name, amount, CAST(`at` AS STRING) FROM shop.t");
  return {
    source: {
      type: "bigquery",
      project: PROJECT,
      api_endpoint: server.url,
      key: JSON.stringify(federated(server, subject)),
      safety_lag_ms: 0,
      poll: { fastest_ms: 20, slowest_ms: 50 },
    },
    model: { table: TABLE },
    write: async (commit) => {
      await server.write(TABLE, writesOf(commit));
    },
    rewriteFiles: () => Promise.resolve(false),
    rows: async () => {
      const found = await rows();
      return new Map(found.map(([id, name, amount, at]) => [id!, { id: id!, name: name!, amount: amount!, at: at! }]));
    },
    loseHistory: () => {
      server.advance(server.maxTimeTravelHours * 3_600_000 + 1000);
      return Promise.resolve();
    },
    recreate: async () => {
      const kept = await rows();
      server.drop(TABLE);
      server.advance(2);
      await create();
      await server.insert(
        TABLE,
        ...kept.map(([id, name, amount, at]) => ({ id: id!, name: name!, amount: amount!, at: at! })),
      );
    },
    faults: {
      unavailable: (times) => server.faults.add(() => true, { kind: "status", status: 503 }, times),
      loseAnswers: (times) => server.faults.add(({ path }) => path === "/jobs", { kind: "lost" }, times),
      endSession: () => {
        ({ tokens } = server);
        server.revoke();
      },
      get done() {
        return server.faults.done && server.tokens > tokens;
      },
    },
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A credential file of workload identity federation: the only kind that names where its tokens come from. */
function federated({ url }: BigQueryServer, file: string): object {
  return {
    type: "external_account",
    audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/test",
    subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
    token_url: `${url}/token`,
    credential_source: { file },
  };
}

function writesOf({ insert = [], update = [], delete: gone = [], rename = [] }: FeedCommit): Write[] {
  return [
    ...gone.map((id): Write => ({ delete: { id } })),
    ...update.map((row): Write => ({ update: valuesOf(row), where: { id: row.id } })),
    ...rename.map(([from, to]): Write => ({ update: { id: to }, where: { id: from } })),
    ...insert.map((row): Write => ({ insert: valuesOf(row) })),
  ];
}

function valuesOf({ id, name, amount, at }: FeedTestRow): Values {
  return { id, name, amount, at: at === null ? null : `${at}+00` };
}
