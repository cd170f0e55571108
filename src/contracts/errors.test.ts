import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

test("docs/errors.md says what the catalogue says", async () => {
  // By a name that the compiler does not follow: it is plain JavaScript.
  const script: string = "../../scripts/error-docs.mjs";
  const { errorDocs } = (await import(script)) as { errorDocs: () => string };
  const written = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
  expect(written, "run `node scripts/error-docs.mjs`").toBe(errorDocs());
});
