import type { LedgerEntry } from "../support/ledger.ts";
import { orderOf, overlaps } from "../support/ledger-order.ts";
import { compare } from "../support/oracle.ts";
import type { Outcome } from "./scenario.ts";
import { spread } from "./quantiles.ts";
import { COMPACT_TABLE, type Rig } from "./rig.ts";

export interface Verdict extends Pick<Outcome, "lost" | "inversions" | "duplicates"> {
  /** Repeats by window; the first window is the one before the first restart. */
  readonly replays: readonly number[];
  /** Pairs of requests with a row of the same key that were in flight at once. */
  readonly overlaps: number;
  /** Rows sent again by the process that had seen them acknowledged. */
  readonly needless: number;
  /** Nothing lost, no order broken, no two requests of one key at once, nothing sent again without need. */
  readonly ok: boolean;
}

/**
 * The ledger against the table. `where`: only these rows of the table are expected. `marked`: the ledger's entries, with the restarts
 * elsewhere.
 */
export async function verdict(
  rig: Rig,
  { where, marked }: { readonly where?: string; readonly marked?: readonly LedgerEntry[] } = {},
): Promise<Verdict> {
  const entries = marked ?? (await rig.receiver.ledger.read());
  const difference = await compare(entries, rig.database, { ...COMPACT_TABLE, where });
  const { inversions, regressions, windows } = orderOf(entries);
  const replays = windows.map((window) => window.replays);
  const together = overlaps(entries).length;
  const needless = windows.reduce((sum, window) => sum + window.needless, 0);
  const lost = difference.lost.length + difference.different.length + difference.extra.length;
  const broken = inversions.length + regressions.length;
  return {
    lost,
    inversions: broken,
    // Before the first restart there is nothing to repeat.
    duplicates: spread(replays.slice(1)),
    replays,
    overlaps: together,
    needless,
    ok: lost === 0 && broken === 0 && together === 0 && needless === 0,
  };
}
