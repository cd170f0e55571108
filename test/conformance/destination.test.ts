import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { DestinationConnector } from "../../src/contracts/destination.ts";
import type { DestinationHarness } from "./counterpart.ts";
import { describeDestination } from "./destination.ts";

// Destinations are found by folder, as the application finds them: a new one is tested before anyone remembers to.
const FOLDER = join(import.meta.dirname, "..", "..", "src", "destinations");
const types = readdirSync(FOLDER, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

test("there are destinations", () => {
  expect(types.length).toBeGreaterThan(0);
});

for (const type of types) {
  // A vendor's destination has a suite of its own, in a file of its own.
  if (existsSync(join(import.meta.dirname, "vendors", `${type}.test.ts`))) continue;
  const harness = join(import.meta.dirname, "harness", `${type}.ts`);
  if (!existsSync(harness)) {
    test(`${type} has a harness`, () => {
      expect.fail(
        `src/destinations/${type} has neither test/conformance/harness/${type}.ts nor vendors/${type}.test.ts: see CONTRIBUTING.md`,
      );
    });
    continue;
  }
  const { default: harnesses } = (await import(harness)) as { default: readonly DestinationHarness[] };
  const { default: connector } = (await import(join(FOLDER, type, "index.ts"))) as { default: DestinationConnector };
  describe(type, () => describeDestination(type, connector, harnesses));
}
