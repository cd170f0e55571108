// What can be told of files without reading them.
import { createHash } from "node:crypto";
import { glob, stat } from "node:fs/promises";

export interface FilesSeen {
  /** Absolute, sorted. */
  readonly files: readonly string[];
  /** Another one whenever a file came, went, or was written. */
  readonly digest: string;
  /** ms since the epoch of the last write; 0 where there is no file. */
  readonly newestMs: number;
}

/** `patterns`: absolute; one without `*`, `?`, `[` or `{` is one file, also where it does not exist. */
export async function seeFiles(patterns: readonly string[]): Promise<FilesSeen> {
  const files = new Set<string>();
  for (const pattern of patterns) {
    if (!isPattern(pattern)) files.add(pattern);
    else for await (const file of glob(pattern)) files.add(file);
  }
  const hash = createHash("sha256");
  const seen: string[] = [];
  let newestMs = 0;
  for (const file of [...files].sort()) {
    const found = await stat(file, { bigint: true }).catch(() => null);
    if (found === null || !found.isFile()) continue;
    seen.push(file);
    newestMs = Math.max(newestMs, Number(found.mtimeNs / 1_000_000n), Number(found.ctimeNs / 1_000_000n));
    hash.update(`${file}\0${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}\n`);
  }
  return { files: seen, digest: hash.digest("hex").slice(0, 32), newestMs };
}

export function isPattern(path: string): boolean {
  return /[*?[{]/.test(path);
}
