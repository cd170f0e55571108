import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { expect, test } from "vitest";
import { loadConfig } from "./load.ts";
import { STARTER, STARTER_GITIGNORE } from "./starter.ts";

test("what the starter only suggests loads, too", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tailrace-starter-"));
  try {
    const text = STARTER.find(({ path }) => path === "tailrace.yml")?.text ?? "";
    // A line that is one key, or part of a block below one, with the mark of a comment before it.
    const whole = text.replaceAll(/^( +)# (?=( *)(golden_users:|source:|key:|sql:|SELECT|FROM|GROUP))/gm, "$1");
    await writeFile(join(folder, "tailrace.yml"), whole);
    const config = await loadConfig({
      workingDirectory: folder,
      env: { SHOP_URL: "postgres://x@y/z", HOOK_URL: "https://x.example" },
    });
    expect(config.models.get("golden_users")).toMatchObject({
      kind: "query",
      key: ["id"],
      sql: "SELECT u.id, u.email, sum(o.total) AS spent\nFROM users u JOIN orders o ON o.user_id = u.id\nGROUP BY u.id",
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

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
