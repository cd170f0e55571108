import { expect, test } from "vitest";
import { destinationSettings, destinationTypes, sourceSettings, sourceTypes } from "./settings.ts";

test("every connector lists its settings, each described, none twice", async () => {
  const sources = await Promise.all((await sourceTypes()).map(({ type }) => sourceSettings(type)));
  const destinations = await Promise.all((await destinationTypes()).map(({ type }) => destinationSettings(type)));
  expect(sources.map(({ type }) => type)).toContain("postgres");
  for (const { type, settings, options } of [...sources, ...destinations]) {
    for (const list of [settings, options ?? []]) {
      const keys = list.map(({ key }) => key);
      expect(new Set(keys).size, type).toBe(keys.length);
      for (const { key, value, description } of list) {
        expect(value, `${type}: ${key}`).not.toBe("nothing");
        expect(description, `${type}: ${key}`).not.toBe("");
      }
    }
  }
});

test("nested keys, secrets and defaults", async () => {
  const { settings } = await destinationSettings("webhook");
  const byKey = new Map(settings.map((setting) => [setting.key, setting]));
  expect(byKey.get("url")).toMatchObject({ required: true, secret: true });
  expect(byKey.get("batch.format")).toMatchObject({ default: "single", required: false, secret: false });
  // As the configuration has it, not as the connector gets it.
  expect(byKey.get("rate")?.description).toContain("Most requests in a time");
});

test("an unknown type gets the one that was meant", async () => {
  await expect(destinationSettings("webhok")).rejects.toThrow("did you mean `webhook`?");
});
