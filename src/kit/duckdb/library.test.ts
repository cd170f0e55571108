import { readFile } from "node:fs/promises";
import { expect, test, vi } from "vitest";
import { DUCKDB_VERSION, loadDuckdb } from "./library.ts";

test("where the library is missing, the command that mends it is named, with the version that is tested", async () => {
  const { optionalDependencies } = JSON.parse(await readFile("package.json", "utf8")) as {
    optionalDependencies: Record<string, string>;
  };
  expect(optionalDependencies["@duckdb/node-api"]).toBe(DUCKDB_VERSION);
  vi.doMock("@duckdb/node-api", () => {
    throw Object.assign(new Error("not there"), { code: "ERR_MODULE_NOT_FOUND" });
  });
  await expect(loadDuckdb("source.config")).rejects.toMatchObject({
    code: "source.config",
    message: expect.stringContaining(`npm install @duckdb/node-api@${DUCKDB_VERSION}`),
  });
  vi.doUnmock("@duckdb/node-api");
  expect(await loadDuckdb("source.config")).toHaveProperty("DuckDBInstance");
});
