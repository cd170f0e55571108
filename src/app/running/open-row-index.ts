import type { Capture } from "../../contracts/capture.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Log } from "../../contracts/log.ts";
import type { RowIndex, RowIndexOptions, SourceRowIndex, SourceRowIndexOptions } from "../../contracts/row-index.ts";
import type { Source } from "../../contracts/source.ts";
import type { Lease } from "../../contracts/state.ts";
import type { Sync } from "../../contracts/sync.ts";
import { hashedNames, identifies } from "../../engine/rows/hashed-columns.ts";
import type { Mapping } from "../../engine/mapping/compile.ts";

export interface OpenRowIndex {
  readonly sync: Sync;
  readonly source: Source;
  readonly lease: Lease;
  readonly mapping: Mapping;
  readonly capture: Exclude<Capture, { readonly kind: "log" }>;
  readonly log: Log;
}

/** Of a local index: what it held is in the source, or is about to be put into it anew. */
const NOTHING: RowIndexOptions = { identity: "", content: "", parts: [] };

/**
 * The index of what a sync sent of its rows: in the source where `diff_state` says so and we may write there, else in the state. When that
 * is another place than before, what was sent is taken along: there is never more than one that counts, which is the one in the source if
 * that one is complete.
 */
export async function openRowIndex(options: OpenRowIndex, signal: AbortSignal): Promise<RowIndex> {
  const { sync, source, lease, mapping, capture } = options;
  const { model } = sync;
  const parts = capture.kind === "live" ? capture.query.partialPlaces : [];
  const here: RowIndexOptions = { ...identifies(sync, mapping), parts };
  const { rowIndexes } = source;
  if (rowIndexes === undefined || model.kind !== "query") return lease.openRowIndex(here);
  const there = { ...here, sync: sync.name, model, columns: hashedNames(mapping), where: sync.where?.text ?? null };
  // Rounds of a model that is followed live ask the index every few milliseconds.
  const wanted = model.diff.state === "source" || (model.diff.state === "auto" && capture.kind === "diff");
  const index = wanted ? await rowIndexes.open(there, signal) : null;
  if (index !== null) return toSource(options, index, here, there, signal);
  if (wanted && model.diff.state === "source") {
    throw new TailraceError(
      "source.config",
      `model ${model.name}: \`diff_state: source\`, and Tailrace may not write to the database. As its owner: ${rowIndexes.permit}; or set \`diff_state: local\``,
    );
  }
  return fromSource(options, here, there, signal);
}

async function toSource(
  { sync, source, lease, log }: OpenRowIndex,
  index: SourceRowIndex,
  here: RowIndexOptions,
  there: SourceRowIndexOptions,
  signal: AbortSignal,
): Promise<RowIndex> {
  let taken = false;
  if (index.isNew) {
    const local = await lease.openRowIndex(here);
    if (local.rows > 0) {
      log.info("what was sent is kept in the source from now on", { sync: sync.name, rows: local.rows });
      await copy(local, index, signal);
      taken = true;
    }
    await index.complete();
  }
  await lease.openRowIndex(NOTHING);
  return taken ? (await source.rowIndexes!.open(there, signal))! : index;
}

async function fromSource(
  { sync, source, lease, log }: OpenRowIndex,
  here: RowIndexOptions,
  there: SourceRowIndexOptions,
  signal: AbortSignal,
): Promise<RowIndex> {
  const rowIndexes = source.rowIndexes!;
  if ((await rowIndexes.known(sync.name, signal)) === null) return lease.openRowIndex(here);
  const index = await rowIndexes.open(there, signal);
  if (index === null) {
    log.warn(
      "what was sent is kept in the source, where Tailrace may not write any more; it is told anew by the rows",
      {
        sync: sync.name,
      },
    );
    return lease.openRowIndex(here);
  }
  if (!index.isNew) {
    log.info("what was sent is kept in the state from now on", { sync: sync.name, rows: index.rows });
    // What a copy that broke off has left.
    await lease.openRowIndex(NOTHING);
    await copy(index, await lease.openRowIndex(here), signal);
  }
  await rowIndexes.forget(sync.name, signal);
  return lease.openRowIndex(here);
}

async function copy(from: RowIndex, to: RowIndex, signal: AbortSignal): Promise<void> {
  for (let after: string | null = null, last = false; !last;) {
    signal.throwIfAborted();
    const page = await from.page(after);
    const versions = await to.announce(page.rows);
    const confirmed = page.rows.map(({ key, confirmed: is }, at) => ({ key, version: versions[at]!, is }));
    await to.confirm(confirmed.filter(({ is }) => is));
    after = page.next;
    last = after === null;
  }
}
