// Writes docs/errors.md from the error catalogue: `node scripts/error-docs.mjs`. A test fails when it is out of date.
import { writeFileSync } from "node:fs";
import { CATALOGUE } from "../src/contracts/errors.ts";

const WHAT_HAPPENS = {
  transient: "tried again after a backoff, without end",
  throttled: "tried again later; everything that shares the destination waits",
  auth: "the sync waits, and tries now and then",
  config: "the sync stops until a person has changed something",
  "row-permanent": "the row becomes a dead letter; everything else goes on",
  "unknown-outcome": "sent again with the same id",
  gap: "the sync stops: continuity cannot be proven",
  internal: "the sync stops: a defect of Tailrace",
};

export function errorDocs() {
  const rows = Object.entries(CATALOGUE).map(
    ([code, { consequence, meaning, hint }]) =>
      `## ${code}\n\n${meaning}\n\n*What happens:* ${WHAT_HAPPENS[consequence]} (\`${consequence}\`).\n\n*What to do:* ${hint}\n`,
  );
  return `# Errors\n\nEvery error that Tailrace names, by what the system does next. Written by \`scripts/error-docs.mjs\` from the catalogue in\n\`src/contracts/errors.ts\`.\n\n${rows.join("\n")}`;
}

if (import.meta.main) writeFileSync(new URL("../docs/errors.md", import.meta.url), errorDocs());
