// Which transactions a snapshot sees. https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT

const HALF = 1n << 31n;
const WHOLE = 1n << 32n;

/**
 * `sees` of a snapshot's text, `xmin:xmax:xip,…`, whose ids have 64 bits. The ids of the log have the lower 32; they are
 * never 2³¹ away from the present ones, which says what the upper half is.
 */
export function visibility(snapshot: string): (transaction: string) => boolean {
  const [xminText = "", xmaxText = "", running = ""] = snapshot.split(":");
  const xmin = BigInt(xminText);
  const xmax = BigInt(xmaxText);
  const inProgress = new Set(running === "" ? [] : running.split(",").map((id) => BigInt(id)));
  return (transaction) => {
    const id = widened(BigInt(transaction), xmax);
    return id < xmin || (id < xmax && !inProgress.has(id));
  };
}

/** The 64-bit id next to `near` that has these lower 32 bits; ids that are wider already stay. */
function widened(id: bigint, near: bigint): bigint {
  if (id >= WHOLE) return id;
  const same = near - (near % WHOLE) + id;
  if (same >= near + HALF) return same < WHOLE ? same : same - WHOLE;
  if (same < near - HALF) return same + WHOLE;
  return same;
}

/** The lower bound of a snapshot's text: every transaction before it has ended. */
export function oldestRunning(snapshot: string): bigint {
  return BigInt(snapshot.slice(0, snapshot.indexOf(":")));
}

/** The transactions that are running according to a snapshot's text. */
export function running(snapshot: string): readonly string[] {
  const list = snapshot.slice(snapshot.lastIndexOf(":") + 1);
  return list === "" ? [] : list.split(",");
}
