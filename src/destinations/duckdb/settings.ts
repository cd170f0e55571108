import * as z from "zod";
import { resourceFields } from "../../kit/duckdb/database.ts";

export const settings = z
  .strictObject({
    path: z.string().min(1).describe("The database file; made when it does not exist. Relative to the configuration."),
    schema: z.string().min(1).default("main").describe("Schema of tables that are named without one."),
    create_tables: z.boolean().default(false).describe("Whether target tables that do not exist are created."),
    add_columns: z.boolean().default(false).describe("Whether columns that a target table lacks are added."),
    hold_ms: z
      .int()
      .min(0)
      .max(3_600_000)
      .default(500)
      .describe("How long the file stays open after a batch. While it is, no other process can read or write it."),
    ...resourceFields,
  })
  .describe("Writes rows to tables of a DuckDB database file.");

export type Settings = z.output<typeof settings>;

/** A sync has no options of its own here: its `object` is the table. */
export const syncOptions = z.strictObject({}).default({});
