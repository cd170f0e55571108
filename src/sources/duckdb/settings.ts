import * as z from "zod";
import { resourceFields } from "../../kit/duckdb/database.ts";

export const FORMATS = ["parquet", "csv", "json"] as const;
export type Format = (typeof FORMATS)[number];

const pattern = z.string().min(1);
const option = z.union([z.string(), z.number(), z.boolean(), z.record(z.string(), z.string()), z.array(z.string())]);

const view = z.union([
  pattern,
  z.strictObject({
    files: z
      .union([pattern, z.array(pattern).min(1)])
      .describe("A file, a folder, or a pattern such as `orders/**/*.parquet`; several make one table."),
    format: z.enum(FORMATS).optional().describe("Default: by the files' ending."),
    options: z
      .record(z.string().regex(/^[a-z_]+$/), option)
      .default({})
      .describe(
        "What DuckDB's `read_csv`, `read_json` or `read_parquet` takes: `delim`, `header`, `types`, `union_by_name` …",
      ),
  }),
]);

export const settings = z
  .strictObject({
    path: z
      .string()
      .min(1)
      .optional()
      .describe(
        "A DuckDB database file, or a folder of data files: each file, and each folder in it, is then a table of that name. Relative to the configuration.",
      ),
    views: z
      .record(z.string().min(1), view)
      .default({})
      .describe("Tables made of data files, by name: `orders: data/orders/*.parquet`."),
    attach: z
      .record(z.string().regex(/^[A-Za-z_]\w*$/, "a name is letters, digits and _"), z.string().min(1))
      .default({})
      .describe("Further DuckDB database files, by the name that SQL uses for them."),
    ...resourceFields,
    poll_ms: z
      .int()
      .min(100)
      .max(3_600_000)
      .default(2000)
      .describe("How often the files are looked at, besides what the operating system tells."),
    settle_ms: z
      .int()
      .min(0)
      .max(600_000)
      .default(500)
      .describe("A data file that was written within this time is not read yet: it may be half of what is to come."),
  })
  .superRefine((value, context) => {
    if (value.path === undefined && Object.keys(value.views).length === 0)
      context.addIssue({ code: "custom", message: "give `path`, or `views` of data files", path: [] });
  })
  .describe("Reads a DuckDB database, or Parquet, CSV and JSON files, by comparing rows whenever the files change.");

export type ViewOptions = Readonly<Record<string, z.output<typeof option>>>;
export type Settings = z.output<typeof settings>;
