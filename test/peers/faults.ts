// Figure 2: a receiver of which 30 % of the answers are failures.
import { forkLoad } from "../support/load-process.ts";
import { OK, faults as faulty } from "../support/receiver-script.ts";
import { type Verdict, judge } from "./judge.ts";
import { stop } from "./process.ts";
import { TABLE, setStage, supervised } from "./stage.ts";
import { type Kind, accepted } from "./subject.ts";

const BATCH_ROWS = 200;
const KEYS = 5000;
const RATE = 0.3;
const RETRY_AFTER_SECONDS = 2;
/** Hanging answers are part of the faults; by default each would take a minute. The same for every subject. */
const TIMEOUT_MS = 2000;
const CATCH_UP_MS = 120_000;

export interface Faults extends Verdict {
  readonly changes: number;
  /** Until all was delivered; null: not before the faults were ended. */
  readonly seconds: number | null;
  /** How often it had ended by itself. */
  readonly restarts: number;
}

export interface FaultOptions {
  readonly serverUrl: string;
  readonly seed: number;
  readonly changes: number;
  /** The faults end then; what is left is delivered without. */
  readonly mostMs: number;
  readonly log: (line: string) => void;
}

export async function faults(kind: Kind, options: FaultOptions): Promise<Faults> {
  const { serverUrl, seed } = options;
  await using stage = await setStage(kind, { serverUrl, batchRows: BATCH_ROWS, timeoutMs: TIMEOUT_MS });
  const { database, receiver, subject } = stage;
  await using load = forkLoad({ url: database.url, changes: options.changes, keys: KEYS, seed });
  const { changes } = await load.done;
  const last = await stage.commitLast();
  receiver.script(
    faulty({
      rate: RATE,
      kinds: ["429", "500", "503", "timeout", "reset-before", "reset-after", "truncated"],
      seed,
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    }),
  );
  const startMs = performance.now();
  const underFaults = async (): Promise<number | null> => {
    try {
      await accepted(receiver, last, options.mostMs);
      await subject.delivered();
      return Math.round((performance.now() - startMs) / 100) / 10;
    } catch {
      receiver.script(() => OK);
      receiver.release();
      await accepted(receiver, last, CATCH_UP_MS);
      await subject.delivered();
      return null;
    }
  };
  const { running, restarts, result: seconds } = await supervised(stage, underFaults());
  await using ending = running;
  options.log(`${kind.name}: ${changes} changes, delivered after ${seconds ?? "(too long)"} s, ${restarts} restarts`);
  await stop(ending);
  return { changes, seconds, restarts, ...(await judge(receiver.ledger.entries, database, TABLE)) };
}
