import * as z from "zod";
import { connectionSettings, secretSetting } from "../../kit/vendor/settings.ts";

export const settings = z
  .strictObject({
    write_key: secretSetting("The write key of an HTTP API source."),
    region: z.enum(["us", "eu"]).default("us").describe("Where the source's data is taken in: Oregon, or Dublin."),
    ...connectionSettings,
  })
  .describe("Twilio Segment: track, identify and group calls.");

export const options = z
  .strictObject({
    event: z
      .string()
      .min(1)
      .optional()
      .describe("Object `track`: the name of every event. Default: the text of the field `event`."),
  })
  .describe("What events are called.");

export type SegmentSettings = z.output<typeof settings>;
export type SegmentOptions = z.output<typeof options>;
