import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

test("docs/errors.md says what the catalogue says", async () => {
  const { errorDocs } = (await import("../../scripts/error-docs.mjs" as string)) as { errorDocs(): string };
  const written = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
  expect(written, "run `node scripts/error-docs.mjs`").toBe(errorDocs());
});
