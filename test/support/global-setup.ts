import { existsSync } from "node:fs";
import type { TestProject } from "vitest/node";
import { startServer } from "../../src/cli/demo/embedded-postgres.ts";
import { MARIADB_INSTALLED } from "./mariadb.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Superuser URL of the shared PostgreSQL 18 (or of TEST_PG_URL). */
    postgresUrl: string;
    /** The same of PostgreSQL 15, where Debian's package is installed; else "". */
    postgres15Url: string;
  }
}

const DEBIAN_15 = "/usr/lib/postgresql/15/bin";

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env["TEST_PG_URL"];
  await using stack = new AsyncDisposableStack();
  const url = given ?? stack.use(await startServer()).url();
  let url15 = "";
  if (existsSync(`${DEBIAN_15}/postgres`)) url15 = stack.use(await startServer({ binaries: DEBIAN_15 })).url();
  else console.warn("PostgreSQL 15 is not installed (Debian: apt-get install postgresql-15): its tests are skipped.");
  if (!MARIADB_INSTALLED)
    console.warn("MariaDB is not installed (Debian: apt-get install mariadb-server): its tests are skipped.");
  project.provide("postgresUrl", url);
  project.provide("postgres15Url", url15);
  const keep = stack.move();
  return () => keep.disposeAsync();
}
