import * as z from "zod";
import { connectionSettings, secretSetting } from "../../kit/vendor/settings.ts";

export const settings = z
  .strictObject({
    api_key: secretSetting("A server-side API key of the project."),
    region: z.enum(["us", "eu"]).default("us").describe("The data center of the project: USDC or EDC."),
    ...connectionSettings,
  })
  .describe("Iterable: users, custom events and catalogs.");

export const options = z
  .strictObject({
    event: z
      .string()
      .min(1)
      .optional()
      .describe("Object `events`: the name of every event. Default: the text of the field `eventName`."),
    create_fields: z
      .boolean()
      .default(false)
      .describe(
        "Fields that the project does not have are added to its schema, with the type of the first value. Default: `check` refuses them, and what the project drops stops the sync.",
      ),
  })
  .describe("What events are called, and whether fields are added to the project.");

export type IterableSettings = z.output<typeof settings>;
export type IterableOptions = z.output<typeof options>;
