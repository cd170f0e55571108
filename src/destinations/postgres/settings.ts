import * as z from "zod";
import { checkAddress, connectionFields } from "../../kit/postgres/settings.ts";

export const settings = z
  .strictObject({
    ...connectionFields,
    schema: z.string().min(1).default("public").describe("Schema of tables that are named without one."),
    pool: z.int().min(1).max(100).default(4).describe("Connections, and so transactions in flight, at most."),
    create_tables: z.boolean().default(false).describe("Whether target tables that do not exist are created."),
    add_columns: z.boolean().default(false).describe("Whether columns that a target table lacks are added."),
  })
  .superRefine(checkAddress)
  .describe("Writes rows to tables of a PostgreSQL database.");

export type Settings = z.output<typeof settings>;

/** A sync has no options of its own here: its `object` is the table. */
export const syncOptions = z.strictObject({}).default({});
