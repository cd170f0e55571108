import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

test("docs/destinations and README.md say what the definitions say", async () => {
  // By a name that the compiler does not follow: it is plain JavaScript.
  const script: string = "../../scripts/destination-docs.mjs";
  const { destinationDocs } = (await import(script)) as { destinationDocs: () => Promise<ReadonlyMap<string, string>> };
  for (const [path, text] of await destinationDocs()) {
    const url = new URL(`../../${path}`, import.meta.url);
    const written = existsSync(url) ? readFileSync(url, "utf8") : "";
    expect(written === text, `${path}: run \`node scripts/destination-docs.mjs\``).toBe(true);
  }
});
