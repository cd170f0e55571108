import * as z from "zod";
import { connectionSettings, secretSetting } from "../../kit/vendor/settings.ts";

export const settings = z
  .strictObject({
    project_id: z.string().regex(/^\d+$/, "A project's id is a number, as a text.").describe("The project's id."),
    service_account: z.string().min(1).describe("A service account's user name."),
    secret: secretSetting("The service account's secret."),
    project_token: z
      .string()
      .min(1)
      .meta({ secret: true })
      .optional()
      .describe("The project's token, which user and group profiles are sent with."),
    region: z.enum(["us", "eu", "in"]).default("us").describe("Where the project's data is."),
    ...connectionSettings,
  })
  .describe("Mixpanel: events, user profiles and group profiles.");

export const options = z
  .strictObject({
    event: z
      .string()
      .min(1)
      .max(255)
      .optional()
      .describe("Object `events`: the name of every event. Default: the text of the field `event`."),
  })
  .describe("What events are called.");

export type MixpanelSettings = z.output<typeof settings>;
export type MixpanelOptions = z.output<typeof options>;
