import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { expect, test } from "vitest";
import { loadConfig } from "./load.ts";
import { STARTER, STARTER_GITIGNORE } from "./starter.ts";

test("the starter loads with the real connectors once its variables are set", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tailrace-starter-"));
  try {
    for (const { path, text } of STARTER) await writeFile(join(folder, path), text);
    const env = parseEnv(STARTER.find(({ path }) => path === ".env.example")?.text ?? "");
    const config = await loadConfig({ workingDirectory: folder, env });
    expect(config.syncs.map(({ name, mode }) => [name, mode])).toEqual([["users_to_hook", "upsert"]]);
    expect(config.destinations.get("hook")?.rate).toBe(50);
    expect(STARTER_GITIGNORE).toEqual([".env", ".tailrace/"]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
