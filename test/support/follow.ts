// A model that is followed by changes, evaluated late and in pieces, beside what the database says of all of it.
import type { LiveQuery } from "../../src/contracts/capture.ts";
import type { Change } from "../../src/contracts/change.ts";
import type { KeyValues } from "../../src/contracts/source.ts";
import type { Choices } from "./choices.ts";
import type { LiveTables } from "./live-tables.ts";

const never = new AbortController().signal;

export interface FollowedOutcome {
  /** What was delivered in the end, and what the database says, as texts that can be compared. */
  readonly delivered: string;
  readonly expected: string;
  /** The result is another one than at the beginning. */
  readonly changed: boolean;
}

/** By key, all rows that have it; without those whose key is null. */
export type ByKey = ReadonlyMap<string, readonly string[]>;

export interface Followed {
  readonly live: LiveQuery;
  /** Empty. */
  readonly tables: LiveTables;
  all(): Promise<ByKey>;
  of(keys: readonly KeyValues[]): Promise<ByKey>;
}

/** Each of `steps` is a transaction, or an evaluation of some of those that are pending: later ones have committed by then. */
export async function followSteps(
  followed: Followed,
  choices: Choices,
  steps: readonly number[],
): Promise<FollowedOutcome> {
  const { live, tables } = followed;
  tables.writeTo(live.relations);
  await tables.transact(choices, 5 * live.relations.size);
  let delivered = await followed.all();
  const atFirst = inOrder(delivered);
  let pending: (readonly Change[])[] = [];

  const evaluate = async (transactions: number): Promise<void> => {
    const changes = pending.slice(0, transactions).flat();
    pending = pending.slice(transactions);
    const affected = await live.affected(
      changes.filter(({ relation }) => live.relations.has(relation.id)),
      never,
    );
    if (affected.all) throw new Error("everything is affected");
    const asked = new Map(affected.keys.map((key) => [JSON.stringify(key), key]));
    for (const { places, values } of affected.partial) {
      const wanted = new Set(values.map((one) => JSON.stringify(one)));
      for (const text of delivered.keys()) {
        const sent = JSON.parse(text) as KeyValues;
        if (wanted.has(JSON.stringify(places.map((place) => sent[place]!)))) asked.set(text, sent);
      }
    }
    if (asked.size === 0) return;
    const now = await followed.of([...asked.values()]);
    delivered = new Map([...[...delivered].filter(([text]) => !asked.has(text)), ...now]);
  };

  for (const step of steps) {
    if (step % 3 === 2) await evaluate(1 + ((step >> 2) % 3));
    else pending.push(await tables.transact(choices, 1 + ((step >> 2) % 4)));
  }
  await evaluate(pending.length);
  const expected = inOrder(await followed.all());
  return { delivered: inOrder(delivered), expected, changed: expected !== atFirst };
}

/** `rows`: texts; `key`: places. */
export function byKey(rows: Iterable<readonly (string | null)[]>, key: readonly number[]): ByKey {
  const found = new Map<string, string[]>();
  for (const row of rows) {
    const texts = key.map((place) => row[place]!);
    if (texts.some((part) => part === null)) continue;
    const name = JSON.stringify(texts);
    found.set(name, [...(found.get(name) ?? []), JSON.stringify(row)].sort());
  }
  return found;
}

function inOrder(rows: ByKey): string {
  return [...rows]
    .map(([key, list]) => `${key} ${list.join(" ")}`)
    .sort()
    .join("\n");
}
