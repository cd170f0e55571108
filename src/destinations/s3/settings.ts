import * as z from "zod";
import { connectionSettings, secretSetting } from "../../kit/vendor/settings.ts";

export const settings = z
  .strictObject({
    bucket: z
      .string()
      .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "A bucket's name is 3 to 63 small letters, digits, `.` and `-`.")
      .describe("The bucket. It is not made."),
    region: z
      .string()
      .regex(/^[a-z0-9-]+$/, "A region is `eu-central-1`.")
      .default("us-east-1")
      .describe("The bucket's region, which requests are signed for: `auto` for Cloudflare R2."),
    access_key_id: secretSetting("The id of an access key."),
    secret_access_key: secretSetting("The secret access key."),
    session_token: secretSetting("The session token of temporary credentials.").optional(),
    path_style: z
      .boolean()
      .default(false)
      .describe(
        "The bucket is the first part of the path and not of the host: for MinIO, and for a bucket with dots in its name. Without it, a `base_url` is the bucket's own.",
      ),
    ...connectionSettings,
  })
  .describe("S3 and storages that speak its language: files of one JSON object a line.");

export const options = z
  .strictObject({
    path: z
      .string()
      .max(512)
      // What would have to be escaped in a URL, or means another folder, is no part of a name.
      .regex(/^(?!\/)(?:[A-Za-z0-9_=.-]+\/|\{(?:sync|year|month|day|hour)\}|[A-Za-z0-9_=.-]+|\/)*$/, {
        error: "A path is letters, digits, `_`, `=`, `.`, `-` and `/`, and {sync}, {year}, {month}, {day}, {hour}.",
      })
      .refine((path) => !/(^|\/)\.{1,2}(\/|$)|\/\//.test(path), {
        error: "A folder has a name, which is not `.` or `..`.",
      })
      .default("{sync}/{year}-{month}-{day}/")
      .describe(
        "What every object's name begins with. {year}, {month}, {day} and {hour} are of the commit of its first row, in UTC; `date={year}-{month}-{day}/` is a partition for Athena, Spark and DuckDB.",
      ),
    format: z
      .enum(["envelope", "record"])
      .default("envelope")
      .describe(
        "A line is the delivery (`id`, `type`, `key`, `position`, `committed_at`, `record`), or the record alone, in the modes `event` and `insert`.",
      ),
  })
  .describe("Where objects go, and what a line is.");

export type S3Settings = z.output<typeof settings>;
export type S3Options = z.output<typeof options>;
