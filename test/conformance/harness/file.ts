import { mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Target } from "../../../src/contracts/destination.ts";
import { envelopeReader, type ReceivedRow } from "../../support/envelope.ts";
import type { DestinationHarness } from "../counterpart.ts";
import { foldRows, uniqueRows } from "../folding.ts";

const LOCAL = "a local folder answers at once, and takes every row";

const harness: DestinationHarness = {
  name: "file",
  waived: { refuse: LOCAL, stall: LOCAL, down: LOCAL, secret: "it has no secrets" },
  start: async () => {
    const path = await mkdtemp(join(tmpdir(), "conformance-file-"));
    // Finished files and the one that still grows.
    const rows = async ({ sync }: Target): Promise<ReceivedRow[]> => {
      const names = (await readdir(path)).filter(
        (name) => name.startsWith(`${sync}-`) || name === `.${sync}.ndjson.part`,
      );
      const order = names.sort((a, b) => (a.startsWith(".") ? 1 : b.startsWith(".") ? -1 : a < b ? -1 : 1));
      const read = envelopeReader();
      const head = { method: "", path: "", headers: {} };
      const lines = (await Promise.all(order.map((name) => readFile(join(path, name), "utf8")))).join("").split("\n");
      return uniqueRows(lines.flatMap((line) => read(line, head)));
    };
    return {
      settings: { path, rotate: { bytes: 4096 } },
      place: () => ({ object: null, options: {} }),
      state: async (target) => foldRows(await rows(target)),
      events: async (target) => (await rows(target)).map(({ id }) => id),
      connections: () => openFiles(path),
      [Symbol.asyncDispose]: () => rm(path, { recursive: true }),
    };
  },
};

/** How many files under `folder` this process holds open; 0 where the system has no /proc. */
async function openFiles(folder: string): Promise<number> {
  const descriptors = await readdir("/proc/self/fd").catch(() => []);
  const paths = await Promise.all(descriptors.map((each) => readlink(`/proc/self/fd/${each}`).catch(() => "")));
  return paths.filter((each) => each.startsWith(folder)).length;
}

export default [harness];
