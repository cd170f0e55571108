import { createHash } from "node:crypto";

/** Every slot and publication of ours starts so; `holdings` lists nothing else. */
export const OUR_PREFIX = "tailrace_";

const MAX_NAME_BYTES = 63;

/**
 * The name of what we make in the database for one source of one project: the same on every machine and after every
 * restart, so that nothing is left behind. Only `a-z`, `0-9` and `_`, as slots demand.
 */
export function objectName(project: string, source: string): string {
  const parts = project === "tailrace" ? [source] : [project, source];
  const wanted = parts.join("_");
  const plain = wanted.toLowerCase().replaceAll(/[^a-z0-9_]/g, "_");
  return marked(OUR_PREFIX + plain, plain === wanted, parts);
}

/** The slot of one sync that has a place of its own in the log, beside `slot`, which the others share. */
export function branchName(slot: string, branch: string): string {
  const plain = branch.toLowerCase().replaceAll(/[^a-z0-9_]/g, "_");
  return marked(`${slot}${BRANCH_MARK}${plain}`, plain === branch, [slot, branch]);
}

/** Whether a slot's name is `slot`, or that of a branch of it. */
export function isOfFamily(name: string, slot: string): boolean {
  return name === slot || name.startsWith(`${slot}${BRANCH_MARK}`.slice(0, MAX_NAME_BYTES - 9));
}

const BRANCH_MARK = "__";

/** What was altered or cut carries a mark of the whole, so that two things do not end up with one name. */
function marked(name: string, exact: boolean, parts: readonly string[]): string {
  if (exact && name.length <= MAX_NAME_BYTES) return name;
  const mark = createHash("sha256").update(parts.join("\0")).digest("hex").slice(0, 8);
  return `${name.slice(0, MAX_NAME_BYTES - 9)}_${mark}`;
}
