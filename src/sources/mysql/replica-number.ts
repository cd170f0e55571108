import { createHash } from "node:crypto";

const FIRST = 2_000_000_000;
const COUNT = 4_294_967_295 - FIRST;

/** A reader's number among the server's replicas: the same after a restart, another one for each reader. */
export function replicaNumber(project: string, source: string, branch: string | null): number {
  const digest = createHash("sha256")
    .update(JSON.stringify([project, source, branch]))
    .digest();
  return FIRST + (digest.readUInt32LE(0) % COUNT);
}
