import { expect, test } from "vitest";
import { FIXTURE_CONNECTORS } from "../../../test/support/fixture-connectors.ts";
import { configJsonSchema } from "./json-schema.ts";

const schema = await configJsonSchema(FIXTURE_CONNECTORS);

test("every connector's settings are one alternative, told apart by type", () => {
  const destinations = {
    oneOf: expect.arrayContaining([
      expect.objectContaining({
        title: "Webhook (webhook)",
        required: ["type", "url"],
        additionalProperties: false,
        properties: expect.objectContaining({
          type: expect.objectContaining({ const: "webhook" }),
          url: expect.anything(),
          rate: expect.anything(),
          concurrency: expect.anything(),
        }),
      }),
    ]),
  };
  expect(schema).toMatchObject({
    $schema: "https://json-schema.org/draft/2020-12/schema",
    additionalProperties: false,
    properties: {
      sources: { additionalProperties: { oneOf: [{ title: "PostgreSQL (postgres)" }] } },
      destinations: { additionalProperties: destinations },
      syncs: {
        additionalProperties: {
          required: ["model", "destination"],
          properties: { options: { anyOf: expect.any(Array) } },
        },
      },
    },
  });
});

test("secrets are marked, and a variable may stand for a number", () => {
  expect(schema).toMatchObject({
    properties: {
      sources: {
        additionalProperties: {
          oneOf: [
            {
              properties: {
                password: { writeOnly: true },
                port: { default: 5432, anyOf: [{ type: "integer" }, { type: "string" }] },
              },
            },
          ],
        },
      },
    },
  });
});

test("it is plain JSON without words of our own", () => {
  const text = JSON.stringify(schema);
  expect(JSON.parse(text)).toEqual(schema);
  expect(text).not.toContain('"wanted"');
  expect(text).not.toContain('"secret":true');
});

test("the real connectors have one, too", async () => {
  expect(JSON.stringify(await configJsonSchema())).toContain('"const":"webhook"');
});
