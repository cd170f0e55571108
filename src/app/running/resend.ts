import type { KnownRows } from "../../contracts/row-index.ts";
import type { Source } from "../../contracts/source.ts";
import type { BackfillProgress, Checkpoint, StateChange, SyncState } from "../../contracts/state.ts";
import type { Sync } from "../../contracts/sync.ts";
import type { Mapping } from "../../engine/mapping/compile.ts";
import { identifies, tellsOnce } from "../../engine/rows/hashed-columns.ts";
import { mappingChanged } from "../../engine/rows/mapping-changed.ts";

/** What there is of the rows that a sync sent, wherever it is kept. */
export async function knownRows(
  sync: Sync,
  source: Source,
  here: () => Promise<KnownRows | null>,
  signal: AbortSignal,
): Promise<KnownRows | null> {
  const there = sync.model.kind === "query" ? await source.rowIndexes?.known(sync.name, signal) : null;
  const known = there ?? (await here());
  // Kept in the source before.
  return known === null || known.identity === "" ? null : known;
}

/** Rows that will be sent again, as something else is made of them than when they were sent; null: none for that reason. */
export function resendOf(
  sync: Sync,
  mapping: Mapping,
  known: KnownRows | null,
): { readonly rows: number; readonly why: string } | null {
  if (known === null || known.rows === 0 || tellsOnce(sync)) return null;
  const now = identifies(sync, mapping);
  if (now.identity !== known.identity)
    return { rows: known.rows, why: "The rows are other records now (destination, object, match, key or mode)" };
  return now.content === known.content ? null : { rows: known.rows, why: "Something else is made of the rows now" };
}

/** Whether a person is asked before rows that were sent are sent again. */
export function asksToResend(sync: Sync): boolean {
  return sync.onMappingChange === "ask" && !tellsOnce(sync);
}

/** Of a destination that stores the progress itself, and may not know yet of a comparison that is to be done, or of an approval. */
export function backfillOf(theirs: Checkpoint, ours: Checkpoint | null): BackfillProgress | null {
  const own = ours?.backfill ?? null;
  if (own?.approved === true) return own;
  return theirs.backfill ?? (own?.removing === true ? own : null);
}

/**
 * How the rows that exist are read when a sync goes on whose model is not read from the log. Durable, so that it is done to the end over
 * restarts: where the rows are to be sent again, or nothing is known of what was sent. Throws `delivery.mapping_changed`.
 */
export function readingAtStart(
  sync: Sync,
  mapping: Mapping,
  known: KnownRows | null,
  { backfill }: Pick<Checkpoint, "backfill">,
  generation: number,
): BackfillProgress | null {
  const resend = resendOf(sync, mapping, known);
  if (resend !== null && asksToResend(sync) && backfill?.approved !== true)
    throw mappingChanged(sync.name, resend.rows, resend.why);
  const again = resend !== null || (known === null && !tellsOnce(sync));
  return again ? anew(backfill, generation) : backfill;
}

/** What a `resume` makes of a person's approval. */
export function approvedResend({ checkpoint, generation }: SyncState): Pick<StateChange, "checkpoint"> {
  if (checkpoint === null) return {};
  return { checkpoint: { ...checkpoint, backfill: { ...anew(checkpoint.backfill, generation), approved: true } } };
}

/** All rows once more: those that exist, where these were being sent, else a comparison. */
function anew(before: BackfillProgress | null, generation: number): BackfillProgress {
  const begun = { generation: before?.generation ?? generation, after: null, rows: 0 };
  return before === null || before.removing === true ? { ...begun, removing: true } : begun;
}
