import * as z from "zod";
import { duration, interval, text } from "./schema-parts.ts";

export const model = z.strictObject({
  source: z.string().meta({ description: "The source that holds it.", examples: ["SOURCE"] }),
  table: text.optional().meta({
    description:
      "A table or view: `schema.name` or `name`, as the database spells it. A part with a dot or a space stands in double quotes.",
    examples: ["public.users"],
  }),
  sql: text.optional().meta({
    description:
      "A query: the path of a `.sql` file, relative to this file and without white space, or a SELECT itself.",
    examples: ["models/golden_users.sql"],
  }),
  dbt: text.optional().meta({
    description:
      "A model of the dbt project that the top-level `dbt:` names: `NAME`, `PROJECT.NAME` or `model.PROJECT.NAME`.",
    examples: ["golden_users"],
  }),
  key: z
    .union([text, z.array(text).min(1)])
    .optional()
    .meta({
      wanted: "a column, or a list of columns",
      description:
        "The columns that identify a row. `sql` needs it. Default: the table's primary key; of a dbt model, what dbt says.",
      examples: ["id", "[tenant, id]"],
    }),
  window: duration.optional().meta({
    description:
      "`sql` and `dbt`: how long changes of the tables that it reads are gathered before the rows they affect are read. Default: `20ms`.",
    examples: ["20ms"],
  }),
  capture: z
    .enum(["auto", "diff"])
    .optional()
    .meta({
      description:
        "`sql` and `dbt`: `auto` follows the log where that is sound, `diff` always compares all rows with what was last sent. Default: `auto`.",
      examples: ["diff"],
    }),
  every: interval.optional().meta({
    description: "Where a diff is needed: how often all rows are compared with what was last sent.",
    examples: ["5m"],
  }),
  cron: text.optional().meta({
    description: "Where a diff is needed: when, as minute, hour, day, month and weekday. Instead of `every`.",
    examples: ['"0 * * * *"'],
  }),
  timezone: text.optional().meta({
    description: "The time zone that `cron` is meant in. Default: `UTC`.",
    examples: ["Europe/Berlin"],
  }),
  diff_state: z
    .enum(["auto", "source", "local"])
    .default("auto")
    .meta({
      description:
        "Where a diff keeps what was last sent: in the `source`'s database, `local`ly beside the state, or `auto`: in the source where it may write there.",
      examples: ["local"],
    }),
});

export const dbt = z
  .strictObject({
    project: text.optional().meta({
      description: "The folder of the dbt project, relative to this file: its `target/manifest.json` is read.",
      examples: ["../dbt"],
    }),
    manifest: text.optional().meta({
      description:
        "dbt's `manifest.json`, relative to this file, where it is elsewhere; `run_results.json` is looked for beside it.",
      examples: ["target/manifest.json"],
    }),
  })
  .superRefine(({ project: folder, manifest }, context) => {
    if (folder !== undefined && manifest !== undefined)
      context.addIssue({
        code: "custom",
        message: "`manifest` says more than `project`; `dbt` can have one",
        path: ["manifest"],
      });
    if (folder === undefined && manifest === undefined)
      context.addIssue({ code: "custom", message: "`dbt` needs `project`, the folder of the dbt project" });
  })
  .transform(({ project: folder, manifest }) => ({ manifest: manifest ?? `${folder ?? "."}/target/manifest.json` }));

export type ModelInput = z.output<typeof model>;
