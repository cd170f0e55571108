import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { init } from "./init.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tailrace-init-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const read = (path: string): Promise<string> => readFile(join(folder, path), "utf8");

test("keeps what is there, and adds only the missing lines to .gitignore", async () => {
  await writeFile(join(folder, ".env.example"), "MINE=1\n");
  await writeFile(join(folder, ".gitignore"), "node_modules\n.env");
  const { files } = await init(folder);
  expect(Object.fromEntries(files.map(({ path, done }) => [path, done]))).toEqual({
    "tailrace.yml": "written",
    ".env.example": "kept",
    "tailrace.schema.json": "written",
    ".gitignore": "added to",
  });
  expect(await read(".env.example")).toBe("MINE=1\n");
  expect(await read(".gitignore")).toBe("node_modules\n.env\n.tailrace/\n");
  expect(JSON.parse(await read("tailrace.schema.json"))).toMatchObject({ title: "Tailrace configuration" });
});

test.each(["tailrace.yml", "tailrace.yaml", "tailrace.config.ts", "tailrace/"])(
  "writes nothing beside %s",
  async (existing) => {
    if (existing.endsWith("/")) await mkdir(join(folder, existing));
    else await writeFile(join(folder, existing), "mine");
    expect(await init(folder)).toEqual({ files: [], existing: existing.replace("/", "") });
    expect(await readdir(folder)).toHaveLength(1);
  },
);

test("writes TypeScript where that is wanted", async () => {
  const { files } = await init(folder, true);
  expect(files.map(({ path }) => path)).toEqual(["tailrace.config.ts", ".env.example", ".gitignore"]);
});

test("makes the folder", async () => {
  folder = join(folder, "a", "b");
  expect((await init(folder)).existing).toBeNull();
  expect(await read("tailrace.yml")).toContain("syncs:");
});
