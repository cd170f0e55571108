import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { type HistoryGap, type HistoryRecord, keyText } from "./record.ts";
import { segmentsIn } from "./segments.ts";

export interface Trace {
  /** Oldest first. */
  readonly events: readonly (HistoryRecord | HistoryGap)[];
  /** ms since the epoch: how far back the history goes; null: there is none. */
  readonly since: number | null;
}

/**
 * What the history has about one row of a sync, or about one that had its key before: the last `most` events, and between them
 * how many rows of the sync were left out meanwhile. Reads every file; what a crash left half written is passed over.
 */
export async function readTrace(directory: string, sync: string, key: readonly string[], most: number): Promise<Trace> {
  const wanted = keyText(key);
  let events: (HistoryRecord | HistoryGap)[] = [];
  let since: number | null = null;
  for (const path of await segmentsIn(directory)) {
    const lines = createInterface({ input: createReadStream(path, "utf8"), crlfDelay: Infinity });
    for await (const line of lines) {
      if (since !== null && !line.includes(wanted) && !line.includes('"what":"gap"')) continue;
      const record = parsed(line);
      if (record === null) continue;
      since ??= record.at;
      if (record.sync !== sync) continue;
      if (record.what === "gap") addGap(events, record);
      else if (keyText(record.key) === wanted || (record.what === "captured" && keyText(record.was ?? []) === wanted))
        events.push(record);
      if (events.length > 2 * most) events = events.slice(-most);
    }
  }
  return { events: events.toSorted((a, b) => a.at - b.at).slice(-most), since };
}

/** Gaps with nothing of the row between them are one. */
function addGap(events: (HistoryRecord | HistoryGap)[], gap: HistoryGap): void {
  const last = events.at(-1);
  if (last?.what !== "gap" || last.because !== gap.because) events.push(gap);
  else events[events.length - 1] = { ...gap, rows: last.rows + gap.rows, since: last.since };
}

function parsed(line: string): HistoryRecord | HistoryGap | null {
  try {
    return JSON.parse(line) as HistoryRecord | HistoryGap;
  } catch {
    return null;
  }
}
