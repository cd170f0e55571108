import * as z from "zod";
import { checkAddress, connectionFields } from "../../kit/postgres/settings.ts";

const SIZE = /^\s*(\d+)\s*(MB|GB|TB)\s*$/i;
const UNITS: Readonly<Record<string, number>> = { MB: 2 ** 20, GB: 2 ** 30, TB: 2 ** 40 };

function sizeOf(text: string): number {
  const [, count, unit] = SIZE.exec(text)!;
  return Number(count) * UNITS[unit!.toUpperCase()]!;
}

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
    wal_budget: z
      .string()
      .regex(SIZE, "a size is a number with MB, GB or TB, such as 10 GB")
      .default("10 GB")
      .transform(sizeOf)
      .describe(
        "Most log that the server may keep for one sync that cannot deliver. Over it, that sync stops, its place is given up, and it must be resynced: the disk of the database is worth more.",
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

/** Where names in the SQL of models are looked up. */
export function schemasOf({ schema }: Pick<Settings, "schema">): readonly string[] {
  return [...new Set([schema, "public"])];
}
