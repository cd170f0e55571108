import * as z from "zod";
import { addressOf } from "../../kit/mysql/address.ts";
import { checkAddress, connectionFields } from "../../kit/mysql/settings.ts";

export const settings = z
  .strictObject({
    ...connectionFields,
    pool: z.int().min(1).max(100).default(4).describe("Connections, and so transactions in flight, at most."),
    create_tables: z.boolean().default(false).describe("Whether target tables that do not exist are created."),
    add_columns: z.boolean().default(false).describe("Whether columns that a target table lacks are added."),
  })
  .superRefine((value, context) => {
    checkAddress(value, context);
    const address = addressOf(value);
    if (!("problem" in address) && address.database === undefined) {
      const message = "give `database`, alone or in `url`: the table that keeps each sync's place is made there";
      context.addIssue({ code: "custom", message, path: ["database"] });
    }
  })
  .describe("Writes rows to tables of a MySQL or MariaDB server.");

export type Settings = z.output<typeof settings>;

/** A sync has no options of its own here: its `object` is the table. */
export const syncOptions = z.strictObject({}).default({});
