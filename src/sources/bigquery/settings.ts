import * as z from "zod";
import { pollSettings } from "../../kit/feed/pace.ts";
import { secretReference } from "../../kit/secret.ts";

const UNITS: Readonly<Record<string, number>> = { MB: 1e6, GB: 1e9, TB: 1e12 };
const LOOPBACK = /^(localhost|127\.[\d.]+|\[::1\])$/;
const SIZE = /^(\d+) ?(MB|GB|TB)$/;

export const settings = z
  .strictObject({
    project: z
      .string()
      .min(1)
      .optional()
      .describe("The project that queries are run in, and billed to. Default: that of the credentials."),
    dataset: z.string().min(1).optional().describe("The dataset of models that do not name one."),
    location: z
      .string()
      .min(1)
      .optional()
      .describe("Where queries run: `EU`, `europe-west3`. Default: where the tables are that they read."),
    key_file: z
      .string()
      .min(1)
      .optional()
      .describe("A service account's key, or another credential file of Google's. Relative to the configuration."),
    key: z
      .union([z.string().min(1), secretReference])
      .optional()
      .meta({ secret: true })
      .describe(
        "The same as JSON; `{ file: … }` or `{ command: […] }`. Without either: application default credentials.",
      ),
    safety_lag_ms: z
      .int()
      .min(0)
      .max(3_600_000)
      .default(5000)
      .describe(
        "How old a change must be to be read: what was committed may become visible a little later, and must not be read past. Part of every change's latency.",
      ),
    append_only: z
      .array(z.string().min(1))
      .default([])
      .describe(
        "Tables (`dataset.table`) whose rows are only ever added: followed by `APPENDS`, which needs no change history. Updates and deletes of them are not noticed.",
      ),
    maximum_bytes_billed: z
      .string()
      .regex(SIZE, "a size is a number with MB, GB or TB, such as 10 GB")
      .transform((text) => {
        const [, number, unit] = SIZE.exec(text)!;
        return String(Number(number) * UNITS[unit!]!);
      })
      .optional()
      .describe(
        "Most that one query may be billed for; BigQuery refuses one that would take more, and the sync stops.",
      ),
    poll: pollSettings({ fastestMs: 2000, slowestMs: 10_000 }).describe(
      "How often a table's metadata is looked at, which is free; it is queried only when it was modified.",
    ),
    api_endpoint: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe("Another address of the API: Private Service Connect, an emulator."),
  })
  .superRefine((value, context) => {
    if (value.key !== undefined && value.key_file !== undefined)
      context.addIssue({ code: "custom", message: "give one of `key` and `key_file`", path: [] });
    const { protocol, hostname } = new URL(value.api_endpoint ?? "https://bigquery.googleapis.com");
    if (protocol === "http:" && !LOOPBACK.test(hostname) && (value.key !== undefined || value.key_file !== undefined))
      context.addIssue({
        code: "custom",
        message: "over http, tokens could be read on their way",
        path: ["api_endpoint"],
      });
  })
  .describe(
    "Reads BigQuery tables by their change history, and queries by comparing rows whenever their tables change.",
  );

export type Settings = z.output<typeof settings>;
