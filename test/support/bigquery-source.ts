// A BigQuery source as a test reads it.
import type { Change, ChangeBatch } from "../../src/contracts/change.ts";
import { type Model, ON_DEMAND, type QueryModel, type TableModel } from "../../src/contracts/model.ts";
import type { Log } from "../../src/contracts/log.ts";
import type { ChunkLimit, Source } from "../../src/contracts/source.ts";
import type { Values } from "../../src/contracts/values.ts";
import { BigQueryWarehouse } from "../../src/sources/bigquery/bigquery-warehouse.ts";
import connector from "../../src/sources/bigquery/index.ts";
import { settings } from "../../src/sources/bigquery/settings.ts";
import { PROJECT } from "../fakes/bigquery/project.ts";
import type { BigQueryServer } from "../fakes/bigquery/server.ts";

export const NEVER = new AbortController().signal;
export const LIMIT: ChunkLimit = { rows: 1000, bytes: 1_000_000 };

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };

/** What was committed is complete at once, and is looked for often, unless `more` says otherwise. */
export function bigquerySettings({ url }: BigQueryServer, more: Readonly<Record<string, unknown>> = {}) {
  return {
    project: PROJECT,
    dataset: "shop",
    api_endpoint: url,
    safety_lag_ms: 0,
    poll: { fastest_ms: 20, slowest_ms: 50 },
    ...more,
  };
}

export function bigquerySource(server: BigQueryServer, more: Readonly<Record<string, unknown>> = {}): Source {
  return connector.create(settings.parse(bigquerySettings(server, more)), { name: "s", project: "p", log: quiet });
}

export function bigqueryWarehouse(
  server: BigQueryServer,
  more: Readonly<Record<string, unknown>> = {},
): BigQueryWarehouse {
  return new BigQueryWarehouse(settings.parse(bigquerySettings(server, more)), process.cwd());
}

export function tableModel(name: string, key: readonly string[] | null = null): TableModel {
  return { kind: "table", name, source: "s", table: { namespace: null, name }, key, diff: ON_DEMAND };
}

export function queryModel(sql: string, key: readonly string[]): QueryModel {
  return { kind: "query", name: "query", source: "s", sql, key, capture: "auto", windowMs: 0, diff: ON_DEMAND };
}

export async function scanned(source: Source, model: Model, limit: ChunkLimit = LIMIT): Promise<readonly Values[]> {
  const rows: Values[] = [];
  for await (const chunk of source.scan(model, null, limit, NEVER)) rows.push(...chunk.rows);
  return rows;
}

/** Reads on after `after` until it has `count` changes. */
export async function changesAfter(
  source: Source,
  after: string,
  count: number,
): Promise<{ readonly changes: readonly Change[]; readonly batches: readonly ChangeBatch[]; readonly end: string }> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), 20_000);
  const batches: ChangeBatch[] = [];
  try {
    for await (const batch of source.read(after, stop.signal)) {
      batches.push(batch);
      const changes = batches.flatMap((each) => each.changes);
      if (changes.length >= count) return { changes, batches, end: batch.end };
    }
  } finally {
    clearTimeout(timer);
  }
  throw new Error(`it brought ${batches.flatMap((each) => each.changes).length} changes, and not ${count}`);
}

export const plain = (changes: readonly Change[]) => changes.map(({ op, before, after }) => ({ op, before, after }));
