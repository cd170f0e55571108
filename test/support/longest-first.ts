import { BaseSequencer, type TestSpecification } from "vitest/node";

/** By how long such files take: whole processes under faults, whole processes, a database, neither. */
const RANKS = [/\/test\/faults\//, /\/test\/e2e\//, /\.(pg|mariadb)\.test\.ts$/];

/**
 * Begins with what takes longest, so that no worker is left alone with it at the end. How long a file took last is not known on a fresh
 * clone, and its size, which vitest goes by then, says little: the longest of all has twenty lines.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => rankOf(a) - rankOf(b));
  }
}

function rankOf({ moduleId }: TestSpecification): number {
  const rank = RANKS.findIndex((pattern) => pattern.test(moduleId));
  return rank === -1 ? RANKS.length : rank;
}
