import type { Model } from "../../contracts/model.ts";
import type { CaptureExplanation } from "../../contracts/source.ts";
import { pollLatency, pollsAnHour } from "../../kit/feed/pace.ts";
import type { BigQueryWarehouse, TableReading } from "./bigquery-warehouse.ts";
import { type ComparedRows, dryRun } from "./compared-rows.ts";
import { changesSql, type History, keepHistory, lookupSql, rowsOf, rowsSql, tableAt } from "./statements.ts";
import { SWEEP_MS } from "./table-watch.ts";

/** What a query is billed for at the least, for each table. */
const LEAST_BYTES = 10_485_760n;
/** On-demand list price in the US; others differ. */
const DOLLARS_A_TIB = 6.25;

export async function explainFeed(
  warehouse: BigQueryWarehouse,
  model: Model & { readonly kind: "table" },
  { place, table, history }: TableReading & { readonly history: History },
  signal: AbortSignal,
): Promise<CaptureExplanation> {
  const { tables, settings, clock } = warehouse;
  const { shape } = tables.describe(model, table.schema?.fields ?? [], {
    place,
    primaryKey: table.tableConstraints?.primaryKey?.columns,
    oldRows: "full",
  });
  const now = await clock.now(table.location, signal);
  const created = BigInt(table.creationTime) * 1000n + 999n;
  const start = now - HOUR_US > created ? now - HOUR_US : created;
  const sql = changesSql(history, place, shape, start, now);
  const hour = await dryRun({ jobs: warehouse.jobs, model, location: table.location }, sql, signal);
  const { busy } = pollsAnHour(settings.poll);
  const sweeps = Math.round(3_600_000 / SWEEP_MS);
  const why =
    history === "CHANGES"
      ? "Its change history is kept (`enable_change_history`)."
      : "It is named in `append_only`: rows that are added are read by APPENDS; updates and deletes are not noticed.";
  return {
    kind: "feed",
    why,
    latency: `A change is read when it is ${settings.safety_lag_ms} ms old (\`safety_lag_ms\`), and then at the next look. ${pollLatency(settings.poll)}`,
    cost: [
      "A look at the table's metadata is free; BigQuery bills a read of its changes for what was written in that time, and for at least 10 MB.",
      `While nothing is modified: ${sweeps} reads an hour, ${costOf(BigInt(sweeps) * LEAST_BYTES)}.`,
      `While it is modified all the time: at most ${busy} reads an hour, ${costOf(BigInt(busy) * LEAST_BYTES)} at the least.`,
      `What was written in the last hour: ${costOf(hour.bytes)}.`,
      `The first load, and each reading of rows by their keys: ${costOf(BigInt(table.numBytes ?? "0"))}.`,
      `Prices are on-demand ones, $${DOLLARS_A_TIB} a TiB.`,
    ].join(" "),
    statements: [
      `-- changes\n${sql}`,
      `-- all rows\n${rowsSql(tableAt(place, now), shape, false)}`,
      `-- rows by their keys\n${lookupSql(tableAt(place, now), shape)}`,
    ],
  };
}

export async function explainRows(
  warehouse: BigQueryWarehouse,
  model: Model,
  rows: ComparedRows,
  signal: AbortSignal,
): Promise<CaptureExplanation> {
  const reading = model.kind === "table" ? await warehouse.tableReading(model, signal) : null;
  const { sql, shape, bytes } = await rows.described(signal);
  const helps =
    reading?.table.type === "TABLE" ? [`-- keeps its changes from now on\n${keepHistory(reading.place)}`] : [];
  const { poll } = warehouse.settings;
  return {
    kind: "diff",
    why: rows.because.join("; "),
    latency:
      rows.state === null
        ? "On the model's schedule."
        : `When a table that it reads is modified, which is looked at every ${poll.fastestMs} to ${poll.slowestMs} ms, and on the model's schedule.`,
    cost: `A look at the tables' metadata is free. Each comparison reads all rows: ${costOf(bytes)} (on-demand, $${DOLLARS_A_TIB} a TiB).`,
    statements: [
      `-- all rows\n${rowsSql(rowsOf(sql), shape, false)}`,
      `-- rows by their keys\n${lookupSql(rowsOf(sql), shape)}`,
      ...helps,
    ],
  };
}

const HOUR_US = 3_600_000_000n;

function costOf(bytes: bigint): string {
  const mb = Number(bytes) / 1e6;
  const size =
    mb >= 1e6 ? `${(mb / 1e6).toFixed(1)} TB` : mb >= 1000 ? `${(mb / 1000).toFixed(1)} GB` : `${mb.toFixed(0)} MB`;
  const dollars = (Number(bytes) / 2 ** 40) * DOLLARS_A_TIB;
  return `${size} ($${dollars < 0.01 ? dollars.toFixed(4) : dollars.toFixed(2)})`;
}
