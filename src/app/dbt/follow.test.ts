import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Log } from "../../contracts/log.ts";
import type { DbtProject } from "../config/config.ts";
import { followDbt } from "./follow.ts";
import { Manifest, readManifest } from "./manifest.ts";
import { type DbtOrigin, modelOf } from "./model.ts";

const FIXTURES = join(import.meta.dirname, "../../../test/fixtures/dbt/dbt-1.10");
const MODELS = { top: "top_customers", broken: "broken", paid: "paid_orders", golden: "golden_users" };

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tailrace-dbt-follow-"));
  await cp(join(FIXTURES, "build"), folder, { recursive: true });
});
afterEach(() => rm(folder, { recursive: true }));

async function project(): Promise<DbtProject> {
  const path = join(folder, "manifest.json");
  const manifest = await readManifest(path, path);
  if (!(manifest instanceof Manifest)) throw new Error(manifest.problem);
  const models = Object.entries(MODELS).map(([name, dbt]): [string, DbtOrigin] => {
    const found = manifest.model(dbt);
    if ("problem" in found) throw new Error(found.problem);
    const model = modelOf(found.node, manifest, { key: ["id"], capture: "auto", windowMs: 0 });
    if ("problem" in model) throw new Error(model.problem);
    return [name, model.origin];
  });
  return { manifest: path, runResults: join(folder, "run_results.json"), models: new Map(models) };
}

/** What the first run that is seen leads to. */
async function follow(dbt: DbtProject): Promise<{ models: readonly string[]; warnings: readonly string[] }> {
  const over = new AbortController();
  const warnings: string[] = [];
  const log: Log = {
    debug: () => {},
    info: () => {},
    warn: (message, fields = {}) => warnings.push([message, ...Object.values(fields)].join(" | ")),
    error: () => {},
    child: () => log,
  };
  let models: readonly string[] = [];
  await followDbt(dbt, {
    signal: over.signal,
    log,
    onBuilt: (built) => {
      models = [...built];
      over.abort();
    },
  });
  return { models, warnings };
}

test("models are due when they, or what they are views of, were built without an error", async () => {
  expect(await follow(await project())).toEqual({ models: ["top", "golden"], warnings: [] });
});

test("what was changed in dbt since the project was read is warned of", async () => {
  const dbt = await project();
  const text = await readFile(dbt.manifest, "utf8");
  const manifest = JSON.parse(text) as { nodes: Record<string, { checksum: object; relation_name: string }> };
  manifest.nodes["model.shop.golden_users"]!.checksum = { name: "sha256", checksum: "another" };
  manifest.nodes["model.shop.customers"]!.relation_name = '"shop"."elsewhere"."customers"';
  delete manifest.nodes["model.shop.broken"];
  await writeFile(dbt.manifest, JSON.stringify(manifest));
  const said = "this model has changed in dbt since its project was read: restart Tailrace to read it anew";
  expect((await follow(dbt)).warnings).toEqual([
    `${said} | top | model.shop.customers`,
    `${said} | broken | model.shop.broken`,
    `${said} | golden | model.shop.golden_users`,
  ]);
});

test("a manifest that is older than the run is warned of", async () => {
  const dbt = await project();
  await cp(join(FIXTURES, "run", "run_results.json"), dbt.runResults);
  const { models, warnings } = await follow(dbt);
  expect(models).toEqual(["top", "golden"]);
  expect(warnings).toEqual([expect.stringMatching(/^dbt's manifest.json is older than its run_results.json/)]);
});
