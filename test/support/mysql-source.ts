// A MySQL source as a test reads it.
import type { Change, ChangeBatch } from "../../src/contracts/change.ts";
import type { TableModel } from "../../src/contracts/model.ts";
import { ON_DEMAND } from "../../src/contracts/model.ts";
import type { Source, SourceContext } from "../../src/contracts/source.ts";
import connector from "../../src/sources/mysql/index.ts";
import { settings } from "../../src/sources/mysql/settings.ts";
import type { Log } from "../../src/contracts/log.ts";
import { type Mariadb, type MariadbOptions, startMariadb } from "./mariadb.ts";

/** What the source needs of a server. */
export const BINLOG_SETTINGS = {
  "log-bin": "binlog",
  "server-id": "1",
  "binlog-format": "ROW",
  "binlog-row-metadata": "FULL",
};

export function startBinlogServer({ settings: more }: MariadbOptions = {}): Promise<Mariadb> {
  return startMariadb({ settings: { ...BINLOG_SETTINGS, ...more } });
}

const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };
const context: SourceContext = { name: "db", project: "test", log: quiet };

export function mysqlSource(url: string, more: Readonly<Record<string, unknown>> = {}): Source {
  return connector.create(settings.parse({ url, ...more }), context);
}

export function tableModel(name: string, key: readonly string[] | null = null): TableModel {
  const [table, database] = name.split(".").toReversed();
  return {
    kind: "table",
    name,
    source: "db",
    table: { namespace: database ?? null, name: table! },
    key,
    diff: ON_DEMAND,
  };
}

/** Reads on after `after` until `enough`; then stops. */
export async function readUntil(
  source: Source,
  after: string,
  enough: (changes: readonly Change[], last: ChangeBatch) => boolean,
): Promise<{ readonly changes: readonly Change[]; readonly end: string; readonly batches: readonly ChangeBatch[] }> {
  const stop = new AbortController();
  const changes: Change[] = [];
  const batches: ChangeBatch[] = [];
  const timer = setTimeout(() => stop.abort(), 30_000);
  try {
    for await (const batch of source.read(after, stop.signal)) {
      batches.push(batch);
      changes.push(...batch.changes);
      if (enough(changes, batch)) return { changes, end: batch.end, batches };
    }
  } finally {
    clearTimeout(timer);
  }
  throw new Error(`the log brought ${changes.length} changes and not what was waited for`);
}

export const count = (wanted: number) => (changes: readonly Change[]) => changes.length >= wanted;

export const plain = (changes: readonly Change[]) => changes.map(({ op, before, after }) => ({ op, before, after }));
