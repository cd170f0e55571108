import type { Delivery, Outcome } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";

/** Of rows that are one record to the vendor (it does not tell `A` from `a`), the first is sent, and the later wait for it. */
export async function oncePerRecord(
  rows: readonly Delivery[],
  recordOf: (row: Delivery) => string,
  send: (rows: readonly Delivery[]) => Promise<readonly Outcome[]>,
): Promise<readonly Outcome[]> {
  const seen = new Set<string>();
  const first = rows.filter((row) => {
    const record = recordOf(row);
    if (seen.has(record)) return false;
    seen.add(record);
    return true;
  });
  if (first.length === rows.length) return send(rows);
  const outcomes = new Map<Delivery, Outcome>();
  for (const [place, outcome] of (await send(first)).entries()) outcomes.set(first[place]!, outcome);
  const error = new TailraceError("destination.unavailable", "Another row of the batch is the same record there");
  return rows.map((row) => outcomes.get(row) ?? { status: "retry", error });
}
