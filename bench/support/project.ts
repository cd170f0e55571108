// A project as a user would write it, in a folder of its own, already started once: its publication and slot exist.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEngine } from "./engine.ts";

export interface Project extends AsyncDisposable {
  readonly folder: string;
  /** Name of the slot and of the publication. */
  readonly slot: string;
}

export interface ProjectOptions {
  readonly url: string;
  /** Letters and digits. Also the sync's name. */
  readonly name: string;
  readonly table: string;
  /** As the YAML of the destination's settings, on one line. */
  readonly destination: string;
}

export async function makeProject(options: ProjectOptions): Promise<Project> {
  const { url, name, table, destination } = options;
  const folder = await mkdtemp(join(tmpdir(), "tailrace-bench-"));
  const slot = `bench_${name}`;
  await writeFile(
    join(folder, "tailrace.yml"),
    `name: bench
sources:
  db: { type: postgres, url: "${url}", slot: ${slot} }
models:
  rows: { source: db, table: public.${table} }
destinations:
  to: ${destination}
syncs:
  ${name}: { model: rows, destination: to, backfill: false }
`,
  );
  const project = { folder, slot, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
  await using engine = startEngine(project, { once: true, profile: false });
  await engine.ended();
  return project;
}
