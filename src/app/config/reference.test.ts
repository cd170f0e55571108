import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { referenceTables, withTables } from "./reference.ts";
import { project, sync } from "./schema.ts";

const PAGE = join(import.meta.dirname, "../../../docs/configuration.md");

// `npm test -- src/app/config -u` writes the tables anew.
test("docs/configuration.md has every key as the schema has it", async () => {
  await expect(withTables(await readFile(PAGE, "utf8"))).toMatchFileSnapshot(PAGE);
});

test("every key is described", () => {
  const tables = [...referenceTables().values()].join("\n");
  for (const key of [...Object.keys(project.shape), ...Object.keys(sync.shape)])
    expect(tables).toContain(`| \`${key}\``);
  for (const row of tables.split("\n").filter((line) => line.startsWith("| `"))) {
    expect(row.split(/(?<!\\)\|/)[4]?.trim(), row).not.toBe("");
  }
});

test("a page that lacks a table, or asks for an unknown one, is refused", () => {
  expect(() => withTables("")).toThrow("lacks the table top");
  expect(() => withTables("<!-- keys: nothing -->\n<!-- end -->")).toThrow("no table nothing");
});
