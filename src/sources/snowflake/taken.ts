// Batches as they are answered: first the feed's state, then each batch with a row before it that says what its columns are.
import { TailraceError } from "../../contracts/errors.ts";
import type { FeedPage } from "../../kit/feed/model-feed.ts";
import { ChangePages, type Shape } from "./change-pages.ts";
import { digitsOf, microseconds } from "./marks.ts";
import type { FeedState } from "./outbox.ts";
import type { Reply, TextRow } from "./session.ts";

interface Rows {
  readonly first: readonly TextRow[];
  readonly more: AsyncGenerator<TextRow[], void, undefined>;
}

/** Batches that are not read yet: after one, up to another. */
export interface Taken extends Rows {
  readonly after: number;
  readonly upTo: number;
}

/** It may be read long after it came: what stops it is only whoever reads it. */
const NEVER = new AbortController().signal;

export async function takenIn(reply: Reply, what: string): Promise<Rows & { readonly state: FeedState }> {
  const more = reply.pages(NEVER);
  const { value } = await more.next();
  const [row, ...first] = value ?? [];
  if (row?.[1] !== "FEED") throw new TailraceError("source.gap.replaced", `${what}: the state of its stream is gone`);
  return { state: { batch: Number(row[3]), forgotten: Number(row[4]) }, first, more };
}

/** `shapeOf`: of a row that begins a batch. */
export async function* pagesOf(
  taken: Taken,
  shapeOf: (row: TextRow) => Shape,
  signal: AbortSignal,
): AsyncGenerator<FeedPage, void, undefined> {
  const pages = new ChangePages(null);
  try {
    for (let rows = taken.first; ;) {
      for (const row of rows) {
        const ms = Number(row[0]);
        const page = row[1] === "BATCH" ? pages.begin(shapeOf(row)) : pages.add(row, digitsOf(ms), microseconds(ms));
        if (page !== null) yield page;
      }
      signal.throwIfAborted();
      const { value, done } = await taken.more.next();
      if (done === true) break;
      rows = value;
    }
  } finally {
    await taken.more.return();
  }
  const last = pages.take();
  if (last !== null) yield last;
}
