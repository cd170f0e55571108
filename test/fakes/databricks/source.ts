// What the tests of this source share.
import type { Change } from "../../../src/contracts/change.ts";
import type { Log } from "../../../src/contracts/log.ts";
import { type Model, ON_DEMAND } from "../../../src/contracts/model.ts";
import type { Source } from "../../../src/contracts/source.ts";
import connector from "../../../src/sources/databricks/index.ts";
import { DatabricksServer } from "./server.ts";

const LOG: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => LOG };
export const NEVER = new AbortController().signal;
export const LIMIT = { rows: 1_000, bytes: 1_000_000 };
export const LEGACY = { "delta.enableChangeDataFeed": "true" };
export const AUTOMATIC = { "delta.enableRowTracking": "true" };

export interface DatabricksStage extends AsyncDisposable {
  readonly fake: DatabricksServer;
  readonly source: Source;
}

/** `settings`: over those that lead to the fake; undefined takes one away. */
export async function databricks(settings: Readonly<Record<string, unknown>> = {}): Promise<DatabricksStage> {
  const fake = await DatabricksServer.start();
  const poll = { fastest_ms: 20, slowest_ms: 20 };
  const checked = connector.settings.parse({ ...fake.settings, catalog: "main", poll, ...settings });
  const source = connector.create(checked, { name: "s", project: "p", log: LOG });
  return {
    fake,
    source,
    [Symbol.asyncDispose]: async () => {
      await source[Symbol.asyncDispose]();
      await fake[Symbol.asyncDispose]();
    },
  };
}

const common = { source: "s", diff: ON_DEMAND };

export function table(name: string, key: readonly string[] | null = null): Model {
  const [namespace, own] = name.split(".");
  return { ...common, kind: "table", name: own!, table: { namespace: namespace!, name: own! }, key };
}

export function query(sql: string, key: readonly string[]): Model {
  return { ...common, kind: "query", name: "q", sql, key, capture: "auto", windowMs: 0 };
}

/** All changes from a position up to what is committed now. */
export async function changesSince(source: Source, model: Model, after: string): Promise<readonly Change[]> {
  const { high } = await source.lookup(model, [], NEVER);
  const changes: Change[] = [];
  const stop = new AbortController();
  for await (const batch of source.read(after, stop.signal)) {
    changes.push(...batch.changes);
    if (batch.end >= high) break;
  }
  stop.abort();
  return changes;
}
