import { expect, test } from "vitest";
import { objectName } from "./object-names.ts";

test.each([
  ["tailrace", "warehouse", "tailrace_warehouse"],
  ["shop", "main_db", "tailrace_shop_main_db"],
])("%s, %s: %s", (project, source, name) => {
  expect(objectName(project, source)).toBe(name);
});

test("what had to be altered or cut is a slot's name still, and two sources never share it", () => {
  const names = [
    objectName("shop", "Main"),
    objectName("shop", "main"),
    objectName("shop", "m-n"),
    objectName("shop", "m n"),
    objectName("shop", "m_n"),
    objectName("s".repeat(60), "a"),
    objectName("s".repeat(60), "b"),
    objectName("é", "ü"),
  ];
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name).toMatch(/^tailrace_[a-z0-9_]{1,54}$/);
});
