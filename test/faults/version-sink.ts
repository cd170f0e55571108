// A receiver for more rows than a ledger can hold: of each key, which version it has and which it has been told since the engine last started.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface VersionSink extends AsyncDisposable {
  readonly url: string;
  readonly counts: VersionCounts;
  /** Rows of a backfill, each once, by the generation in its id. */
  backfilled(generation: number): number;
  /** Resolves as soon as it holds; asked after each request. */
  until(holds: () => boolean): Promise<void>;
  /** The engine is not running: what comes next may be told again from an earlier place. */
  restarted(): void;
  /** The version that it has of a key; null: none. */
  has(id: number): number | null;
}

export interface VersionCounts {
  readonly rows: number;
  /** Removals by a resync. */
  readonly gone: number;
  /** Rows older than one that had come for the same key, since the last restart. */
  readonly stale: number;
  /** Rows that came after the delete of their key and are not newer than what was deleted, since the last restart. */
  readonly resurrected: number;
  /** Deliveries that had come before the last restart, by restart. */
  readonly repeats: readonly number[];
}

interface Envelope {
  readonly id: string;
  readonly type: string;
  readonly key: { readonly id: number };
  readonly record: { readonly version?: number };
}

/** Answers 200 to everything. Expects arrays of Tailrace's envelopes, of a table with a key `id` (1 … `keys`) and a `version`. */
export async function startVersionSink(keys: number): Promise<VersionSink> {
  const held = new Float64Array(keys + 1).fill(-1);
  /** Highest version since the last restart, and when that was set. */
  const told = new Float64Array(keys + 1).fill(-1);
  const toldIn = new Int32Array(keys + 1).fill(-1);
  const isDeleted = new Uint8Array(keys + 1);
  const reads = new Map<number, { readonly seen: Uint8Array; count: number }>();
  const lastPosition = new Map<number, string>();
  const counts = { rows: 0, gone: 0, stale: 0, resurrected: 0, repeats: [0] };
  const waiters = new Set<() => void>();

  const repeated = (): void => {
    counts.repeats[counts.repeats.length - 1]! += 1;
  };
  const note = ({ id, key }: Envelope): void => {
    const [kind, generation] = /^load-(read|gone)(\d+)-/.exec(id)?.slice(1) ?? [];
    if (kind === "gone") counts.gone += 1;
    if (kind !== "read") {
      const position = id.slice("load-".length);
      const last = lastPosition.get(key.id);
      if (kind === undefined && last !== undefined && position <= last) repeated();
      if (kind === undefined) lastPosition.set(key.id, position);
      return;
    }
    const read = reads.get(Number(generation)) ?? { seen: new Uint8Array(keys + 1), count: 0 };
    reads.set(Number(generation), read);
    if (read.seen[key.id] === 1) repeated();
    else {
      read.seen[key.id] = 1;
      read.count += 1;
    }
  };
  const take = (row: Envelope): void => {
    const id = row.key.id;
    counts.rows += 1;
    note(row);
    const window = counts.repeats.length;
    const before = toldIn[id] === window ? told[id]! : -1;
    if (toldIn[id] !== window) isDeleted[id] = 0;
    if (row.type === "delete") {
      held[id] = -1;
      isDeleted[id] = 1;
      toldIn[id] = window;
      told[id] = before;
      return;
    }
    const version = row.record.version ?? -1;
    if (isDeleted[id] === 1 && version <= before) counts.resurrected += 1;
    else if (version < before) counts.stale += 1;
    held[id] = version;
    isDeleted[id] = 0;
    toldIn[id] = window;
    told[id] = Math.max(before, version);
  };

  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => {});
    request.on("end", () => {
      for (const row of JSON.parse(Buffer.concat(chunks).toString()) as Envelope[]) take(row);
      response.end();
      for (const waiter of waiters) waiter();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    counts,
    backfilled: (generation) => reads.get(generation)?.count ?? 0,
    until: async (holds) => {
      while (!holds()) {
        const { promise, resolve } = Promise.withResolvers<void>();
        waiters.add(resolve);
        await promise;
        waiters.delete(resolve);
      }
    },
    restarted: () => {
      // What is still on its way from a process that is gone would count as the next one's.
      server.closeAllConnections();
      counts.repeats.push(0);
    },
    has: (id) => (held[id] === -1 ? null : held[id]!),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
