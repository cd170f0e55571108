import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FIXTURE_CONNECTORS } from "../../../test/support/fixture-connectors.ts";
import { ConfigError, loadConfig } from "./load.ts";
import { renderProblems } from "./problem.ts";

const CANARY = "canary-7f3a";
const TEXT = `name: shop
sources:
  shop: { type: postgres, host: db, password: ${CANARY}, tls: { mode: verify-ca } }
  other:
    type: postgres
    url: "postgres://u:${CANARY}@db/x"
models:
  users: { source: shop, table: public.users, key: [id] }
destinations:
  hook: { type: webhook, url: https://example.com/in, secret: "whsec_${CANARY}", headers: { a: ${CANARY} } }
  list: { type: lenient, api_key: \${CANARY} }
syncs:
  one:
    model: users
    destination: hook
    mode: mirror
    on_delete: { archive: { a: 1 } }
    map: { email: email, n: { column: name, null: omit } }
    options: { token: ${CANARY} }
  two: { model: users, destination: list, where: "a = 1", batch: { rows: 10, age: 5ms } }
`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tailrace-config-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function outcome(text: string): Promise<string> {
  await writeFile(join(folder, "tailrace.yml"), text);
  try {
    await loadConfig({ workingDirectory: folder, env: { CANARY }, connectors: FIXTURE_CONNECTORS });
    return "";
  } catch (error) {
    // Anything but a ConfigError is a defect, and fails the property.
    if (!(error instanceof ConfigError)) throw error;
    expect(error.problems.length).toBeGreaterThan(0);
    for (const problem of error.problems) expect(problem.fix ?? "").not.toBe("");
    return `${error.message}\n${renderProblems(error.problems, { color: false })}`;
  }
}

const noise = fc.constantFrom(
  " ",
  "  ",
  "\n",
  "\t",
  ":",
  ": ",
  "-",
  "- ",
  "{",
  "}",
  "[",
  "]",
  '"',
  "'",
  "#",
  "&a",
  "*a",
  "!",
  "|",
  ">",
  "<<: ",
  "${",
  "}",
  "$",
  "%",
  "@",
  "x",
  "1",
  "null",
  "\0",
  "é",
  "\u2028",
  "---\n",
);

test("the text of the property loads when nothing is changed", async () => {
  expect(await outcome(TEXT)).toBe("");
});

test("whatever is mistyped, the outcome is a configuration or problems, and no message holds a secret", async () => {
  const edit = fc.record({ at: fc.nat(TEXT.length), removed: fc.nat(6), added: fc.array(noise, { maxLength: 3 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
      let text = TEXT;
      for (const { at, removed, added } of edits) text = text.slice(0, at) + added.join("") + text.slice(at + removed);
      expect(await outcome(text)).not.toContain(CANARY);
    }),
    { numRuns: 2000 },
  );
});

test("lines may be lost, doubled, or moved", async () => {
  const lines = TEXT.split("\n");
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(lines.length - 1), { maxLength: lines.length + 5 }), async (order) => {
      expect(await outcome(order.map((i) => lines[i]).join("\n"))).not.toContain(CANARY);
    }),
    { numRuns: 500 },
  );
});
