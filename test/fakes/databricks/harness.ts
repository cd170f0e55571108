import type { FeedCommit, FeedHarness, FeedTestRow } from "../../conformance/feed-source.ts";
import type { DeltaTable, TextRow } from "./delta-table.ts";
import { DatabricksServer } from "./server.ts";

const COLUMNS = [
  { name: "id", type: "bigint" },
  { name: "name", type: "string" },
  { name: "amount", type: "decimal(38,10)" },
  { name: "at", type: "timestamp" },
];
const TABLE = "shop.t";

/** `properties`: which feed the table has. */
export async function databricksHarness(properties: Readonly<Record<string, string>>): Promise<FeedHarness> {
  const fake = await DatabricksServer.start();
  // So that halves of updates are on both sides of a border.
  fake.fetchRows = 7;
  const make = (): DeltaTable => fake.warehouse.create(TABLE, { columns: COLUMNS, primaryKey: ["id"], properties });
  let table = make();
  let session = fake.logins;
  return {
    source: { type: "databricks", ...fake.settings, catalog: "main", poll: { fastest_ms: 20, slowest_ms: 50 } },
    model: { table: TABLE },
    write: (commit) => {
      write(table, commit);
      return Promise.resolve();
    },
    rewriteFiles: () => {
      table.touch("OPTIMIZE");
      return Promise.resolve(true);
    },
    rows: async () => {
      const { rows } = await fake.warehouse.execute(
        "SELECT CAST(id AS STRING), name, CAST(amount AS STRING), CAST(`at` AS STRING) || '+00' FROM main.shop.t",
        {},
      );
      return new Map(rows.map(([id, name, amount, at]) => [id!, { id: id!, name: name!, amount: amount!, at: at! }]));
    },
    loseHistory: () => {
      table.vacuum(table.newest.number + 1);
      return Promise.resolve();
    },
    recreate: () => {
      const { rows } = table.newest;
      fake.warehouse.drop(TABLE);
      table = make();
      table.write({ insert: rows });
      return Promise.resolve();
    },
    faults: {
      unavailable: (times) => fake.faults.add(() => true, { kind: "status", status: 503 }, times),
      loseAnswers: (times) => fake.faults.add(({ method }) => method === "ExecuteStatement", { kind: "lost" }, times),
      endSession: () => {
        session = fake.logins;
        fake.endSessions();
      },
      get done() {
        return fake.faults.done && fake.logins > session;
      },
    },
    [Symbol.asyncDispose]: () => fake[Symbol.asyncDispose](),
  };
}

function write(table: DeltaTable, { insert = [], update = [], delete: gone = [], rename = [] }: FeedCommit): void {
  const renamed = new Map(rename);
  table.write({
    insert: insert.map(texts),
    update: [
      ...update.map((row) => ({ at: ([id]: TextRow) => id === row.id, to: () => texts(row) })),
      {
        at: ([id]: TextRow) => renamed.has(id!),
        to: ([id, ...others]: TextRow) => [renamed.get(id!)!, ...others],
      },
    ],
    delete: ([id]) => gone.includes(id!),
  });
}

function texts({ id, name, amount, at }: FeedTestRow): TextRow {
  return [id, name, amount, at];
}
