import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder with a `tailrace.yml`; its path is also the `-c` of the command line. Removed when disposed. */
export interface TestProject extends AsyncDisposable {
  readonly folder: string;
  /** Writes the configuration anew. */
  configure(config: string): Promise<void>;
}

export async function testProject(config: string): Promise<TestProject> {
  const folder = await mkdtemp(join(tmpdir(), "tailrace-test-"));
  const configure = (text: string): Promise<void> => writeFile(join(folder, "tailrace.yml"), text);
  await configure(config);
  return { folder, configure, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}
