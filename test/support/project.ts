import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder with a `tailrace.yml` (and a project name of its own, where the configuration gives none); its path is also the `-c` of the command line. Removed when disposed. */
export interface TestProject extends AsyncDisposable {
  readonly folder: string;
  /** Writes the configuration anew. */
  configure(config: string): Promise<void>;
}

export async function testProject(config: string): Promise<TestProject> {
  const folder = await mkdtemp(join(tmpdir(), "tailrace-test-"));
  // Slots are the whole server's: tests that run at the same time must not have the same name for theirs.
  const name = `t_${randomBytes(6).toString("hex")}`;
  const configure = (text: string): Promise<void> =>
    writeFile(join(folder, "tailrace.yml"), /^name:/m.test(text) ? text : `name: ${name}\n${text}`);
  await configure(config);
  return { folder, configure, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}
