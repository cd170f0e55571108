import * as z from "zod";
import { connectionSettings, secretSetting } from "../../kit/vendor/settings.ts";

export const settings = z
  .strictObject({
    site_id: z.string().min(1).describe("The Site ID of a Track API key."),
    api_key: secretSetting("The API key beside that Site ID."),
    region: z.enum(["us", "eu"]).default("us").describe("Where the account's data is."),
    ...connectionSettings,
  })
  .describe("Customer.io Journeys: people, events, objects and relationships.");

export const options = z
  .strictObject({
    event: z
      .string()
      .min(1)
      .max(100)
      .optional()
      .describe("Object `events`: the name of every event. Default: the text of the field `name`."),
  })
  .describe("What events are called.");

export type CustomerioSettings = z.output<typeof settings>;
export type CustomerioOptions = z.output<typeof options>;
