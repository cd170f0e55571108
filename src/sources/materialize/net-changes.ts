import { TailraceError } from "../../contracts/errors.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { Values } from "../../contracts/values.ts";
import type { FeedRow, Mark } from "../../kit/feed/model-feed.ts";

/** A row that came (`diff` 1) or went (-1), so many times. */
export interface Diff {
  readonly diff: bigint;
  readonly values: Values;
}

interface OfKey {
  old: Values | null;
  new: Values | null;
}

/**
 * What happened at one mark, net, in the order that `ModelFeed.changes` asks for. Throws `source.model` where two rows have one key:
 * Materialize keeps no keys apart.
 */
export function netChanges(mark: Mark, committedAt: bigint, diffs: readonly Diff[], relation: Relation): FeedRow[] {
  const byRow = new Map<string, Diff>();
  for (const { diff, values } of diffs) {
    const text = JSON.stringify(values);
    byRow.set(text, { values, diff: diff + (byRow.get(text)?.diff ?? 0n) });
  }
  const byKey = new Map<string, OfKey>();
  for (const { diff, values } of byRow.values()) {
    if (diff === 0n) continue;
    const key = JSON.stringify(relation.key.map((place) => values[place]));
    const known = byKey.get(key) ?? { old: null, new: null };
    const image = diff < 0n ? "old" : "new";
    if (known[image] !== null || (diff !== 1n && diff !== -1n)) throw twice(relation);
    known[image] = values;
    byKey.set(key, known);
  }
  const order = [...byKey].sort(([a, { new: left }], [b, { new: right }]) =>
    (left === null) === (right === null) ? (a < b ? -1 : 1) : left === null ? -1 : 1,
  );
  return order.flatMap(([, { old, new: now }]) => [
    ...(old === null ? [] : [{ mark, committedAt, image: "old" as const, values: old, row: null }]),
    ...(now === null ? [] : [{ mark, committedAt, image: "new" as const, values: now, row: null }]),
  ]);
}

function twice({ name, columns, key }: Relation): TailraceError {
  const names = key.map((place) => columns[place]!.name).join(", ");
  return new TailraceError(
    "source.model",
    `key_violation: two rows of ${name} have the same key (${names}); which of them counts cannot be told. Correct the data or the SQL, or give the model a key that tells its rows apart.`,
  );
}
