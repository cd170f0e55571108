import { chmod, mkdtemp, mkdir, readFile, readdir, rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { delivery } from "../../../test/support/deliveries.ts";
import { people, silent, target } from "../../../test/support/webhook.ts";
import type { Delivery, Writer } from "../../contracts/destination.ts";
import file from "./index.ts";

const signal = new AbortController().signal;
const row = (id: string, name = "a") => delivery({ shape: people, values: [id, name, "12.50", "true"] });

let base: string;
let folder: string;
let part: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), "tailrace-file-"));
  folder = join(base, "deep", "out");
  part = join(folder, ".people.ndjson.part");
  onTestFinished(() => rm(base, { recursive: true, force: true }));
});

function destination(rotate: Readonly<Record<string, unknown>> = {}) {
  return file.create(file.settings.parse({ path: "deep/out", rotate }), {
    name: "f",
    log: silent,
    baseDirectory: base,
  });
}

function open(rotate: Readonly<Record<string, unknown>> = {}): Promise<Writer> {
  return destination(rotate).open(target(), signal);
}

async function finished(): Promise<string[]> {
  return (await readdir(folder)).filter((name) => !name.startsWith(".")).sort();
}

async function ids(path: string): Promise<string[]> {
  const text = await readFile(path, "utf8");
  expect(text.endsWith("\n")).toBe(true);
  return text
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { id: string }).id);
}

const idsOf = (batch: readonly Delivery[]) => batch.map(({ id }) => id);

test("a line a delivery; the file gets its name when the writer closes", async () => {
  const batch = [row("1"), row("2", 'new\nline "quoted"'), row("9007199254740993")];
  const writer = await open();
  expect(await writer.write(batch, signal)).toEqual(batch.map(() => ({ status: "delivered" })));
  expect(await finished()).toEqual([]);
  expect(await ids(part)).toEqual(idsOf(batch));
  expect(await readFile(part, "utf8")).toContain(
    '"record":{"id":9007199254740993,"name":"a","total":12.50,"active":true}}\n',
  );
  await writer[Symbol.asyncDispose]();
  const [name, ...others] = await finished();
  expect(others).toEqual([]);
  expect(name).toMatch(/^people-\d{8}T\d{9}Z\.ndjson$/);
  expect(await ids(join(folder, name ?? ""))).toEqual(idsOf(batch));
});

test("a writer that wrote nothing leaves nothing", async () => {
  await (await open())[Symbol.asyncDispose]();
  expect(await readdir(folder)).toEqual([]);
});

test("rotation by size: every row once, in order, in names that sort", async () => {
  const writer = await open({ bytes: 1024 });
  const all: Delivery[] = [];
  for (let n = 0; n < 30; n++) {
    const batch = [row(String(n)), row(`${n + 1}0`)];
    all.push(...batch);
    await writer.write(batch, signal);
  }
  await writer[Symbol.asyncDispose]();
  const names = await finished();
  expect(names.length).toBeGreaterThan(3);
  const read = await Promise.all(names.map((name) => ids(join(folder, name))));
  expect(read.flat()).toEqual(idsOf(all));
});

test("rotation by time, without a further row", async () => {
  const writer = await open({ seconds: 1 });
  await writer.write([row("1")], signal);
  await expect.poll(finished, { timeout: 10_000 }).toHaveLength(1);
  await writer.write([row("2")], signal);
  await writer[Symbol.asyncDispose]();
  expect(await finished()).toHaveLength(2);
});

test("writes that overlap do not mix", async () => {
  const writer = await open({ bytes: 2048 });
  const batches = Array.from({ length: 20 }, (_, n) => [row(`${n + 1}1`), row(`${n + 1}2`), row(`${n + 1}3`)]);
  await Promise.all(batches.map((batch) => writer.write(batch, signal)));
  await writer[Symbol.asyncDispose]();
  const read = await Promise.all((await finished()).map((name) => ids(join(folder, name))));
  expect(read.flat()).toEqual(idsOf(batches.flat()));
});

describe("after a crash", () => {
  test.each([
    ["a whole file", "", 2],
    ["a cut line", '{"id":"x","rec', 2],
    ["a long cut line", `{"id":"${"x".repeat(200_000)}`, 2],
  ])("%s: whole lines stay, the rest goes, and writing goes on behind them", async (_, tail, lines) => {
    const before = [row("1"), row("2")];
    const crashed = await open();
    await crashed.write(before, signal);
    const text = await readFile(part, "utf8");
    await writeFile(part, text + tail);
    const writer = await open();
    expect(await ids(part)).toHaveLength(lines);
    const after = [row("3")];
    await writer.write(after, signal);
    expect(await ids(part)).toEqual(idsOf([...before, ...after]));
    await writer[Symbol.asyncDispose]();
    expect(await finished()).toHaveLength(1);
  });

  test("nothing but a cut line", async () => {
    await mkdir(folder, { recursive: true });
    await writeFile(part, '{"id":');
    const writer = await open();
    const batch = [row("1")];
    await writer.write(batch, signal);
    expect(await ids(part)).toEqual(idsOf(batch));
  });
});

describe("faults", () => {
  test("a full disk: tried again later, and nothing is half written", async () => {
    await mkdir(folder, { recursive: true });
    await symlink("/dev/full", part);
    const writer = await open();
    const batch = [row("1")];
    await expect(writer.write(batch, signal)).rejects.toMatchObject({
      code: "destination.unavailable",
      message: expect.stringContaining("disk is full"),
    });
    await unlink(part);
    expect(await writer.write(batch, signal)).toEqual([{ status: "delivered" }]);
    expect(await ids(part)).toEqual(idsOf(batch));
  });

  test.each([
    ["deleted", () => unlink(part)],
    ["moved", () => rename(part, join(base, "elsewhere"))],
    ["with its folder", () => rm(folder, { recursive: true })],
  ])("the growing file is %s: what was written into the void is not called delivered", async (_, harm) => {
    const writer = await open();
    await writer.write([row("1")], signal);
    await harm();
    const batch = [row("2")];
    await expect(writer.write(batch, signal)).rejects.toMatchObject({ code: "destination.unavailable" });
    expect(await writer.write(batch, signal)).toEqual([{ status: "delivered" }]);
    expect(await ids(part)).toEqual(idsOf(batch));
  });

  test("a path that is a file: for a person to mend", async () => {
    await writeFile(join(base, "deep"), "");
    await expect(open()).rejects.toMatchObject({ consequence: "config" });
    expect(await destination().check([], signal)).toMatchObject([{ level: "error", code: "file.path" }]);
  });

  test("check makes nothing", async () => {
    expect(await destination().check([], signal)).toEqual([]);
    expect(await readdir(base)).toEqual([]);
  });

  test.skipIf(process.getuid?.() === 0)("no right to write (root has every right, so not as root)", async () => {
    await chmod(base, 0o555);
    await expect(open()).rejects.toMatchObject({ consequence: "config" });
    expect(await destination().check([], signal)).toMatchObject([{ level: "error", code: "file.path" }]);
    await chmod(base, 0o755);
  });

  test("an aborted write writes nothing", async () => {
    const writer = await open();
    await expect(writer.write([row("1")], AbortSignal.abort(new Error("stop")))).rejects.toThrow("stop");
    expect(await readFile(part, "utf8")).toBe("");
  });
});
