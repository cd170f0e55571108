import * as z from "zod";
import { connectionSettings, secretSetting } from "../../kit/vendor/settings.ts";

export const settings = z
  .strictObject({
    spreadsheet_id: z
      .string()
      .regex(/^[\w-]+$/, "An id is letters, digits, `_` and `-`.")
      .describe("The spreadsheet's id: the part of its address between `/d/` and `/edit`."),
    service_account: secretSetting(
      "A service account's key, as the JSON that Google gives (in one line, or in its file).",
    ),
    ...connectionSettings,
  })
  .describe("Google Sheets: rows of a table that people look at.");

export const options = z.strictObject({}).describe("Nothing.");

export type SheetsSettings = z.output<typeof settings>;
