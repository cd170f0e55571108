import * as z from "zod";
import { connectionSettings, secretSetting } from "../../kit/vendor/settings.ts";

export const settings = z
  .strictObject({
    api_key: secretSetting("An API key (`SG.…`) that may send mail."),
    region: z.enum(["global", "eu"]).default("global").describe("`eu` for a subuser whose region is the EU."),
    ...connectionSettings,
  })
  .describe("Twilio SendGrid: mails from templates, or of text and HTML.");

const address = z.strictObject({
  email: z.string().min(3).describe("The address."),
  name: z.string().min(1).optional().describe("The name that is shown."),
});

export const options = z
  .strictObject({
    from: address.describe("Who sends: a verified sender, or of an authenticated domain."),
    reply_to: address.optional().describe("Where answers go. Default: to `from`."),
    template: z
      .string()
      .regex(/^d-[0-9a-f]+$/, "A dynamic template's id: `d-` and hexadecimal digits.")
      .optional()
      .describe(
        "The dynamic template of every mail; fields other than those of SendGrid are its data. Default: the field `template_id`, or `subject` and `text` or `html`.",
      ),
    categories: z
      .array(z.string().min(1).max(255))
      .max(10)
      .default([])
      .describe("Categories of every mail, for SendGrid's statistics."),
    unsubscribe_group: z.int().min(1).optional().describe("The id of the unsubscribe group that the mails belong to."),
    ip_pool: z.string().min(2).max(64).optional().describe("The IP pool that the mails are sent from."),
    sandbox: z.boolean().default(false).describe("Mails are looked at and not sent."),
  })
  .describe("What is the same for all mails of the sync.");

export type SendGridSettings = z.output<typeof settings>;
export type SendGridOptions = z.output<typeof options>;
