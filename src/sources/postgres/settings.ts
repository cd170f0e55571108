import * as z from "zod";
import { checkAddress, connectionFields } from "../../kit/postgres/settings.ts";

export const settings = z
  .strictObject({
    ...connectionFields,
    port: connectionFields.port.describe("Port. Default: 5432. Not a pooler's port."),
    slot: z
      .string()
      .regex(/^[a-z0-9_]{1,63}$/, "a slot's name has at most 63 of a-z, 0-9 and _")
      .optional()
      .describe("Name of the replication slot. Default: made of the project's and the source's names."),
    publication: z.string().min(1).optional().describe("Name of the publication. Default: named like the slot."),
    failover: z
      .boolean()
      .default(true)
      .describe(
        "Whether standbys keep the slot too, so that a failover does not lose it. From PostgreSQL 17 on; ignored before.",
      ),
    heartbeat_ms: z
      .int()
      .min(0)
      .max(3_600_000)
      .default(30_000)
      .describe(
        "How often a message is written into the log of a quiet database, so that the slot moves on. 0: never.",
      ),
    silent_after_ms: z
      .int()
      .min(1000)
      .max(3_600_000)
      .default(25_000)
      .describe(
        "The replication connection is opened anew when not a byte came for so long, though an answer was asked for.",
      ),
    schema: z.string().min(1).default("public").describe("Schema of tables that are named without one."),
  })
  .superRefine(checkAddress);

export type Settings = z.output<typeof settings>;
