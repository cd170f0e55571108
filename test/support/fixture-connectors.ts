import * as z from "zod";
import { type DestinationConnector, defineDestination } from "../../src/contracts/destination.ts";
import { TailraceError } from "../../src/contracts/errors.ts";
import { defineSource, type SourceConnector } from "../../src/contracts/source.ts";
import type { Connectors } from "../../src/app/connectors.ts";

/** Connectors whose settings have every kind of key, and which cannot connect to anything. */

function cannotConnect(): never {
  throw new TailraceError("internal.defect", "a fixture connector only has settings");
}

const postgres = defineSource({
  type: "postgres",
  title: "PostgreSQL",
  settings: z
    .strictObject({
      url: z.string().min(1).meta({ secret: true, description: "Connection URL." }).optional(),
      host: z.string().optional(),
      port: z
        .int()
        .min(1)
        .max(65_535)
        .meta({ examples: [5432] })
        .default(5432),
      user: z.string().optional(),
      password: z.string().meta({ secret: true }).optional(),
      database: z.string().optional(),
      tls: z
        .union([
          z.boolean(),
          z.strictObject({
            ca: z.string().optional(),
            mode: z.enum(["verify-full", "verify-ca", "require"]).default("verify-full"),
          }),
        ])
        .optional(),
    })
    .refine((settings) => settings.url !== undefined || settings.host !== undefined, {
      error: "give either `url` or `host`",
    }),
  create: cannotConnect,
});

const webhook = defineDestination({
  type: "webhook",
  title: "Webhook",
  settings: z.strictObject({
    url: z.url({ protocol: /^https?$/ }).meta({ examples: ["https://example.com/in"] }),
    secret: z
      .string()
      .min(8)
      .refine((text) => text.startsWith("whsec_"), {
        error: (issue) => `must begin with whsec_, unlike ${String(issue.input)}`,
      })
      .meta({ secret: true })
      .optional(),
    headers: z.record(z.string(), z.string().meta({ secret: true })).optional(),
  }),
  sync: z.strictObject({
    method: z.enum(["POST", "PUT", "PATCH", "DELETE"]).default("POST"),
    path: z.string().optional(),
    signed: z.boolean().optional(),
    token: z.string().meta({ secret: true }).optional(),
  }),
  create: cannotConnect,
});

/** Its schema drops unknown keys instead of refusing them, as a careless connector's would. */
const lenient = defineDestination({
  type: "lenient",
  title: "Lenient",
  settings: z.object({ api_key: z.string().meta({ secret: true }), region: z.enum(["eu", "us"]).default("eu") }),
  sync: z.object({ list: z.string().optional() }),
  create: cannotConnect,
});

const nothing = defineDestination({
  type: "null",
  title: "Nothing",
  settings: z.strictObject({}),
  sync: z.strictObject({}),
  create: cannotConnect,
});

const SOURCES: Readonly<Record<string, SourceConnector>> = { postgres: postgres };
const DESTINATIONS: Readonly<Record<string, DestinationConnector>> = {
  lenient: lenient,
  null: nothing,
  webhook: webhook,
};

export const FIXTURE_CONNECTORS: Connectors = {
  listSources: async () => Object.keys(SOURCES).sort(),
  listDestinations: async () => Object.keys(DESTINATIONS).sort(),
  loadSource: async (type) => SOURCES[type] ?? cannotConnect(),
  loadDestination: async (type) => DESTINATIONS[type] ?? cannotConnect(),
};
