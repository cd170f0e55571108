// Figure 3: one row in a thousand that the receiver will never take.
import type { Receiver } from "../support/receiver.ts";
import { prng } from "../support/prng.ts";
import { OK, status } from "../support/receiver-script.ts";
import { type Verdict, judge } from "./judge.ts";
import { stop } from "./process.ts";
import { TABLE, setStage, supervised } from "./stage.ts";
import type { Kind } from "./subject.ts";

const BATCH_ROWS = 500;
const REFUSED = status(400, {}, "no such customer");

export interface Poison extends Verdict {
  /** Rows that the receiver would take, and those of them that it was sent and took. */
  readonly good: number;
  readonly taken: number;
  /** Until the last good row was taken; null: it never was. */
  readonly seconds: number | null;
  readonly restarts: number;
}

export interface PoisonOptions {
  readonly serverUrl: string;
  readonly seed: number;
  /** A multiple of 1000. */
  readonly rows: number;
  readonly mostMs: number;
  readonly log: (line: string) => void;
}

export async function poison(kind: Kind, options: PoisonOptions): Promise<Poison> {
  const { serverUrl, seed, rows, mostMs, log } = options;
  const random = prng(seed);
  const poisoned = new Set<string>();
  while (poisoned.size < rows / 1000) poisoned.add(String(1 + random.int(rows)));
  const isGood = (key: string): boolean => !poisoned.has(key);
  await using stage = await setStage(kind, { serverUrl, batchRows: BATCH_ROWS });
  const { database, receiver } = stage;
  for (let from = 1; from <= rows; from += 1000) {
    await database.sql(
      `INSERT INTO ${TABLE} (id, version, name) SELECT id, id, 'row ' || id FROM generate_series(${from}, ${from + 999}) AS id`,
    );
  }
  const good = rows - rows / 1000;
  receiver.script((request) => (request.rows.every(({ key }) => isGood(key)) ? OK : REFUSED));
  const startMs = performance.now();
  const taken = takenKeys(receiver, isGood);
  const allTaken = async (): Promise<number | null> => {
    try {
      await receiver.until(() => taken() >= good, mostMs);
      return Math.round((performance.now() - startMs) / 100) / 10;
    } catch {
      return null;
    }
  };
  const { running, restarts, result: seconds } = await supervised(stage, allTaken());
  await using ending = running;
  log(`${kind.name}: ${taken()} of ${good} good rows in ${seconds ?? "(too long)"} s, ${restarts} restarts`);
  await stop(ending);
  await receiver.until(({ counts }) => counts.inFlight === 0);
  const verdict = await judge(receiver.ledger.entries, database, TABLE, {
    sql: `id NOT IN (${[...poisoned].join(", ")})`,
    key: isGood,
  });
  return { good, taken: taken(), seconds, restarts, ...verdict };
}

/** Counts the different good keys that were taken; looks at each ended entry once. */
function takenKeys({ ledger }: Receiver, isGood: (key: string) => boolean): () => number {
  const keys = new Set<string>();
  const open = new Set<number>();
  let next = 0;
  return () => {
    for (; next < ledger.entries.length; next += 1) open.add(next);
    for (const at of open) {
      const entry = ledger.entries[at];
      if (entry?.kind === "request" && entry.endedNs === null) continue;
      open.delete(at);
      if (entry?.kind !== "request") continue;
      for (const { key, acknowledged } of entry.rows) {
        if (acknowledged && key !== "0" && isGood(key)) keys.add(key);
      }
    }
    return keys.size;
  };
}
