import * as z from "zod";
import { connectionSettings, secretSetting } from "../../kit/vendor/settings.ts";

export const settings = z
  .strictObject({
    token: secretSetting("The bot token of an app in your workspace (`xoxb-…`)."),
    ...connectionSettings,
  })
  .describe("Slack: messages to channels and people.");

export const options = z
  .strictObject({
    channel: z
      .string()
      .min(1)
      .optional()
      .describe(
        "Where every message goes: a channel's id (`C0123456789`), or a person's. Default: the field `channel` of each row.",
      ),
    digest: z
      .strictObject({
        title: z.string().min(1).optional().describe("The first line, in Slack's markup."),
        rows: z.int().min(2).max(200).default(50).describe("Rows in one message at most."),
      })
      .optional()
      .describe(
        "One message for the rows of a batch, a line each, instead of one for each row. How long rows wait for others is the sync's `batch.age`.",
      ),
  })
  .refine(({ channel, digest }) => digest === undefined || channel !== undefined, {
    error: "A digest goes to one channel: give `channel`.",
  })
  .describe("Where messages go, and whether rows are put together.");

export type SlackSettings = z.output<typeof settings>;
export type SlackOptions = z.output<typeof options>;
