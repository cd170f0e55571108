import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { relationWith } from "../../../test/support/syncs.ts";
import type { Change } from "../../contracts/change.ts";
import { UNCHANGED } from "../../contracts/values.ts";
import { createLog } from "../log.ts";
import { History } from "./history.ts";
import { Segments, segmentsIn } from "./segments.ts";
import { readTrace } from "./trace.ts";

let folder: string;
const warnings: string[] = [];
const log = createLog({ level: "warn", format: "json", color: false, write: (line) => void warnings.push(line) });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tailrace-history-"));
  warnings.length = 0;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const relation = relationWith({ id: "bigint", note: "text", big: "text" });

function changeOf(id: string, note: string): Change {
  return {
    op: "update",
    relation,
    before: null,
    after: [id, note, UNCHANGED],
    position: `p-${id}`,
    transaction: { id: "1", committedAt: 1_700_000_000_000_000n },
  };
}

test("what was put is found again; a value that was not sent is left out, a long one is cut", async () => {
  {
    await using history = new History({ path: folder, bytes: 1e6 }, log);
    const observer = history.observer("s");
    expect(observer.takes("change")).toBe(true);
    observer.captured(changeOf("1", "x".repeat(10_000)), null);
    observer.captured(changeOf("11", "other"), null);
    history.observer("t").captured(changeOf("1", "of another sync"), null);
  }
  const { events, since } = await readTrace(folder, "s", ["1"], 100);
  expect(events).toMatchObject([{ what: "captured", key: ["1"], new: { id: "1" }, committedAt: 1_700_000_000_000 }]);
  const row = (events[0] as unknown as { new: Record<string, string> }).new;
  expect(Object.keys(row)).toEqual(["id", "note"]);
  expect(row["note"]).toMatch(/^x{500}… \(10000 characters\)$/);
  expect(Date.now() - since!).toBeLessThan(60_000);
});

test("beyond what it takes rows are left out, those that were read first; how many is told", async () => {
  let taken = 0;
  {
    await using history = new History({ path: folder, bytes: 1e8 }, log);
    const observer = history.observer("s");
    const put = (kind: "read" | "change"): number => {
      let rows = 0;
      for (; observer.takes(kind); rows += 1) observer.captured(changeOf(String(taken + rows), "x".repeat(400)), null);
      return rows;
    };
    const read = put("read");
    taken += read;
    const changed = put("change");
    taken += changed;
    expect(read).toBeGreaterThan(100);
    // Rows of a backfill have left half of the room to changes.
    expect(changed).toBeGreaterThan(100);
    for (let i = 0; i < 40; i += 1) observer.takes("change");
  }
  const { events } = await readTrace(folder, "s", ["0"], 100);
  // Two refusals of `put`, and forty.
  expect(events).toMatchObject([{ what: "captured" }, { what: "gap", rows: 42, because: "rate" }]);
});

test("the files together stay within the bound; the oldest goes first", async () => {
  {
    await using segments = new Segments(folder, 8_000);
    for (let i = 0; i < 300; i += 1)
      await segments.append([`${JSON.stringify({ at: i, sync: "s", key: [String(i)] })}\n`]);
  }
  const paths = await segmentsIn(folder);
  const sizes = await Promise.all(paths.map(async (path) => (await stat(path)).size));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(8_000);
  const lines = (await Promise.all(paths.map((path) => readFile(path, "utf8")))).join("").trimEnd().split("\n");
  const kept = lines.map((line) => (JSON.parse(line) as { at: number }).at);
  expect(kept).toEqual(Array.from({ length: kept.length }, (_, place) => 300 - kept.length + place));
  expect(kept.length).toBeGreaterThan(100);
});

test("a file that another process removed is not written to any more", async () => {
  await using segments = new Segments(folder, 1e6);
  await segments.append(["one\n"]);
  for (const path of await segmentsIn(folder)) await rm(path);
  await segments.append(["two\n"]);
  const [path, ...more] = await segmentsIn(folder);
  expect(more).toEqual([]);
  expect(await readFile(path!, "utf8")).toBe("two\n");
});

test("where it cannot be written that is said once, and told in the trace when it can be again", async () => {
  const path = join(folder, "history");
  await writeFile(path, "a file where the folder should be");
  {
    await using history = new History({ path, bytes: 1e6 }, log);
    const observer = history.observer("s");
    observer.captured(changeOf("1", "lost"), null);
    await expect.poll(() => warnings.length).toBe(1);
    await rm(path);
    observer.captured(changeOf("1", "kept"), null);
  }
  const { events } = await readTrace(path, "s", ["1"], 100);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).not.toContain("lost");
  expect(events.find(({ what }) => what === "gap")).toMatchObject({ because: "disk" });
  expect(events.find(({ what }) => what === "captured")).toMatchObject({ new: { note: "kept" } });
});
