import type { ErrorCode } from "../contracts/errors.ts";
import type { FailureQuery } from "../contracts/failures.ts";
import type { DeadLetter, StateStore } from "../contracts/state.ts";

export interface FailureList {
  readonly sync: string;
  readonly total: number;
  /** Why, most frequent first. */
  readonly groups: readonly { readonly code: ErrorCode; readonly message: string; readonly count: number }[];
  /** Newest change first. */
  readonly failures: readonly DeadLetter[];
  readonly offset: number;
}

/** A sync's dead letters that a query holds for: the reasons, and one page of the letters, newest first. */
export async function listFailures(
  store: StateStore,
  sync: string,
  page: { readonly where?: FailureQuery | undefined; readonly limit: number; readonly offset: number },
): Promise<FailureList> {
  const { where, limit, offset } = page;
  const { groups, total } = await countFailures(store, sync, where);
  // The store counts from the oldest.
  const end = Math.max(0, total - offset);
  const start = Math.max(0, end - limit);
  const found = start === end ? [] : await store.failures(sync, { where, limit: end - start, offset: start });
  return { sync, total, groups, failures: found.toReversed(), offset };
}

export async function countFailures(
  store: StateStore,
  sync: string,
  where?: FailureQuery,
): Promise<Pick<FailureList, "groups" | "total">> {
  const groups = await store.failureGroups(sync, where);
  return { groups, total: groups.reduce((sum, { count }) => sum + count, 0) };
}

/** The letters with these ids, and the ids that there are none for. */
export async function findFailures(
  store: StateStore,
  sync: string,
  ids: readonly string[],
): Promise<{ readonly found: readonly DeadLetter[]; readonly missing: readonly string[] }> {
  const letters = await Promise.all(ids.map((id) => store.failure(sync, id)));
  return {
    found: letters.filter((letter) => letter !== null),
    missing: ids.filter((_, index) => letters[index] === null),
  };
}
