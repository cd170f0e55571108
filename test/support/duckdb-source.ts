// What the tests of this source share.
import type { ChangeBatch } from "../../src/contracts/change.ts";
import type { Log } from "../../src/contracts/log.ts";
import type { Model } from "../../src/contracts/model.ts";
import type { Cursor, Source, SnapshotChunk } from "../../src/contracts/source.ts";
import type { Values } from "../../src/contracts/values.ts";
import connector from "../../src/sources/duckdb/index.ts";
import type { TestFolder } from "./duckdb.ts";

const LOG: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => LOG };
export const NEVER = new AbortController().signal;
export const LIMIT = { rows: 1000, bytes: 1_000_000 };

/** Data files count as at rest at once, unless `settings` says otherwise. */
export function duckdbSource(folder: TestFolder, settings: Record<string, unknown>): Source {
  return connector.create(connector.settings.parse({ settle_ms: 0, ...settings }), {
    name: "s",
    project: "p",
    log: LOG,
    baseDirectory: folder.path,
  });
}

export async function scanned(
  source: Source,
  model: Model,
  options: { readonly after?: Cursor; readonly rows?: number; readonly signal?: AbortSignal } = {},
): Promise<{ readonly rows: readonly Values[]; readonly chunks: readonly SnapshotChunk[] }> {
  const chunks: SnapshotChunk[] = [];
  const limit = { ...LIMIT, rows: options.rows ?? LIMIT.rows };
  for await (const chunk of source.scan(model, options.after ?? null, limit, options.signal ?? NEVER))
    chunks.push(chunk);
  return { rows: chunks.flatMap(({ rows }) => rows), chunks };
}

/** Batches as they come; `next` waits for one that has a change. */
export function reading(source: Source, after: string) {
  const stop = new AbortController();
  const batches = source.read(after, stop.signal)[Symbol.asyncIterator]();
  const next = async (): Promise<ChangeBatch> => {
    const { value, done } = await batches.next();
    if (done === true) throw new Error("reading has ended");
    return value;
  };
  return {
    next,
    changed: async (): Promise<ChangeBatch> => {
      for (;;) {
        const batch = await next();
        if (batch.changes.length > 0) return batch;
      }
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await batches.return?.();
    },
  };
}

export const ids = ({ changes }: ChangeBatch): readonly string[] => changes.map(({ relation }) => relation.id);
