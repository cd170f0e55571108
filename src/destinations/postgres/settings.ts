import * as z from "zod";
import { connectionFields, connectionProblem } from "./connection.ts";

export const settings = z
  .strictObject({
    ...connectionFields,
    schema: z.string().min(1).default("public").meta({ description: "schema of tables that are named without one" }),
    pool: z
      .int()
      .min(1)
      .max(100)
      .default(4)
      .meta({ description: "connections, and so transactions in flight, at most" }),
    create_tables: z.boolean().default(false).meta({ description: "create target tables that do not exist" }),
    add_columns: z.boolean().default(false).meta({ description: "add columns that a target table lacks" }),
  })
  .superRefine((value, context) => {
    const problem = connectionProblem(value);
    if (problem !== null) context.addIssue({ code: "custom", message: problem });
  });

export type Settings = z.output<typeof settings>;

/** A sync has no options of its own here: its `object` is the table. */
export const syncOptions = z.strictObject({}).default({});
