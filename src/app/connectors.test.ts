import { expect, test } from "vitest";
import { listDestinations, listSources, loadDestination, loadSource } from "./connectors.ts";

test("connectors are found by the names of their folders, and are what they say", async () => {
  expect(await listSources()).toContain("postgres");
  expect(await listDestinations()).toEqual(expect.arrayContaining(["file", "null", "postgres", "webhook"]));
  for (const type of await listSources()) expect((await loadSource(type)).type).toBe(type);
  for (const type of await listDestinations()) expect((await loadDestination(type)).type).toBe(type);
});

test("an unknown type says what was probably meant, and what there is", async () => {
  await expect(loadDestination("webhok")).rejects.toThrow(
    /no destination type `webhok`; did you mean `webhook`\? \(there are .*`webhook`/,
  );
  await expect(loadSource("../destinations/null")).rejects.toMatchObject({ code: "config.invalid" });
});
