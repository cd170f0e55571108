import { expect, test } from "vitest";
import { settings } from "./settings.ts";

test("settings: defaults, and what is not known", () => {
  expect(settings.parse({ host: "h" })).toMatchObject({ host: "h", failover: true, schema: "public" });
  expect(settings.safeParse({ host: "h", slot: "Not-a-slot" }).success).toBe(false);
  expect(settings.safeParse({ host: "h", pasword: "x" }).success).toBe(false);
});

test("every setting is described, and secrets are marked", () => {
  for (const [name, field] of Object.entries(settings.shape))
    expect(field.meta()?.description ?? field.description, name).toBeTruthy();
  const secrets = Object.entries(settings.shape).filter(([, field]) => field.meta()?.["secret"] === true);
  expect(secrets.map(([name]) => name)).toEqual(["url", "password"]);
});
