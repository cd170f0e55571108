import * as z from "zod";
import { connectionSettings, secretSetting } from "../../kit/vendor/settings.ts";

export const settings = z
  .strictObject({
    access_token: secretSetting("The access token of an app in your workspace."),
    region: z.enum(["us", "eu", "au"]).default("us").describe("Where the workspace's data is."),
    ...connectionSettings,
  })
  .describe("Intercom: contacts, companies and data events.");

export const options = z
  .strictObject({
    removed: z
      .enum(["delete", "archive"])
      .default("delete")
      .describe(
        "Object `contacts` with `on_delete: delete`: whether they are deleted for good, or archived, from where they come back with their rows.",
      ),
    company: z
      .string()
      .min(1)
      .optional()
      .describe(
        "Object `contacts`: the field of `map` with the `company_id` of the company that each contact is attached to. It is no attribute, and is not sent as one.",
      ),
    event: z
      .string()
      .min(1)
      .optional()
      .describe("Object `events`: the name of every event. Default: the text of the field `event_name`."),
  })
  .describe("What becomes of contacts that are removed, their companies, and what events are called.");

export type IntercomSettings = z.output<typeof settings>;
export type IntercomOptions = z.output<typeof options>;
