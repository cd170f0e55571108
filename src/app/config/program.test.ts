import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { NODE } from "../../../test/support/cli.ts";
import type { Sync } from "../../contracts/sync.ts";
import { placeText, type Problem } from "./problem.ts";
import { TYPESCRIPT_STARTER } from "./starter.ts";

interface Loaded {
  readonly config?: { readonly syncs: readonly Sync[] };
  readonly problems?: readonly Problem[];
}

/** In a process of its own: how a test runner loads modules is not how Node does. */
const SCRIPT = `
const { loadConfig } = await import(process.argv[1]);
const print = (result) => console.log(JSON.stringify(result, (key, value) =>
  ["connector", "baseDirectory", "files", "state", "history"].includes(key) ? undefined : value instanceof Map ? [...value] : value));
await loadConfig({ env: JSON.parse(process.argv[2]) }).then((config) => print({ config }), (error) => print({ problems: error.problems }));
`;

async function load(name: string, text: string, env: NodeJS.ProcessEnv = {}): Promise<Loaded> {
  const folder = await mkdtemp(join(tmpdir(), "tailrace-config-"));
  try {
    await writeFile(join(folder, name), text);
    const loader = new URL("load.ts", import.meta.url).href;
    const words = ["--input-type=module", "-e", SCRIPT, loader, JSON.stringify(env)];
    const { stdout, stderr } = await promisify(execFile)(NODE, words, { cwd: folder });
    expect(stderr).toBe("");
    return JSON.parse(stdout) as Loaded;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A whole configuration around one sync. */
const program = (sync: string, more = ""): string => `
import { columns, defineConfig, type Row } from "tailrace";
export default defineConfig({
  sources: { shop: { type: "postgres", url: "\${SHOP_URL}" } },
  models: { users: { source: "shop", table: "public.users" } },
  destinations: { hook: { type: "webhook", url: "https://example.com/in", rate: "50/s" } },
  syncs: { users: { model: "users", destination: "hook", ${sync} } },
  ${more}
});
`;
const ENV = { SHOP_URL: "postgres://me:secret-1a2b3c4d@localhost/shop" };

test("is the same checked object as the YAML that says the same", async () => {
  const typescript = await load(
    "tailrace.config.ts",
    program(`mode: "mirror", where: "plan <> 'x'", map: { email: "email", ltv: { column: "value", null: "omit" } }`),
    ENV,
  );
  const yaml = await load(
    "tailrace.yml",
    `sources: { shop: { type: postgres, url: "\${SHOP_URL}" } }
models: { users: { source: shop, table: public.users } }
destinations: { hook: { type: webhook, url: "https://example.com/in", rate: 50/s } }
syncs:
  users: { model: users, destination: hook, mode: mirror, where: plan <> 'x', map: { email: email, ltv: { column: value, null: omit } } }
`,
    ENV,
  );
  const plain = ({ config }: Loaded): string =>
    JSON.stringify(config, (key, value: unknown) => (key === "at" ? undefined : value));
  expect(plain(typescript)).toBe(plain(yaml));
  expect(typescript.config?.syncs[0]?.at).toBe("tailrace.config.ts (syncs.users)");
});

test("functions stand where a column, a template or a condition may, and say what they read", async () => {
  const { config } = await load(
    "tailrace.config.ts",
    program(`
      where: columns(["plan"], ({ plan }) => plan !== "internal"),
      map: {
        id: "id",
        name: (row: Row) => row["name"]?.trim() ?? null,
        score: { template: columns(["score"], ({ score }) => score), as: "number", null: "omit" },
      }`),
    ENV,
  );
  const [sync] = config!.syncs;
  expect(sync?.where).toMatchObject({ code: { columns: ["plan"] }, text: `({ plan }) => plan !== "internal"` });
  expect(sync?.map).toMatchObject([
    { field: "id", kind: "column" },
    { field: "name", kind: "code", code: { columns: null }, null: "send" },
    { field: "score", kind: "code", code: { columns: ["score"] }, as: "number", null: "omit" },
  ]);
});

test("what docs/configuration.md shows and what `init` writes are right", async () => {
  const manual = await readFile(new URL("../../../docs/configuration.md", import.meta.url), "utf8");
  const shown = /```ts\n([\s\S]*?)```/.exec(manual)![1]!;
  for (const text of [shown, TYPESCRIPT_STARTER[0]!.text]) {
    const { config, problems } = await load("tailrace.config.ts", text, { ...ENV, HOOK_URL: "https://example.com/in" });
    expect(problems).toBeUndefined();
    expect(config?.syncs[0]?.where?.code).toBeDefined();
  }
});

test.each([
  ["an unknown key", program("mod: 1"), "tailrace.config.ts (syncs.users.mod)", /unknown key `mod`/],
  [
    "a value that is none of these",
    program(`mode: "upsrt"`),
    "tailrace.config.ts (syncs.users.mode)",
    /`mode` in sync `users`/,
  ],
  ["a function elsewhere", program("match: () => 1"), "tailrace.config.ts (syncs.users.match)", /cannot be a function/],
  ["a date", program("batch: new Date(0)"), "tailrace.config.ts (syncs.users.batch)", /must be a text/],
  [
    "a where that is no SQL",
    program(`where: "plan <>"`),
    "tailrace.config.ts (syncs.users.where)",
    /`where` in sync `users`/,
  ],
  ["a missing variable", program(`object: "\${NONE}"`), "tailrace.config.ts (syncs.users.object)", /`NONE` is not set/],
  ["nothing exported", "export const config = {};", "tailrace.config.ts", /exports no configuration/],
  ["what is thrown", `\nthrow new TypeError("no");`, "tailrace.config.ts", /cannot be run: TypeError \(line 2\): no/],
  ["what cannot be erased", "enum Plan { Free }", "tailrace.config.ts", /cannot be run: .*enum/],
])("%s is an error with file and key", async (_, text, place, message) => {
  const { problems = [] } = await load("tailrace.config.ts", text, ENV);
  expect(problems.map((problem) => placeText(problem))).toContain(place);
  expect(problems.map((problem) => problem.message).join("\n")).toMatch(message);
  expect(JSON.stringify(problems)).not.toContain("1a2b3c4d");
});
