import * as z from "zod";
import { allowPrivateSetting } from "../../kit/address-guard.ts";
import { secretSetting } from "../../kit/vendor/settings.ts";

export const settings = z
  .strictObject({
    host: z.string().min(1).describe("The mail server that takes mail for others (a relay)."),
    port: z.int().min(1).max(65_535).default(587).describe("Its port: 587, or 465 with `security: tls`."),
    security: z
      .enum(["starttls", "tls", "none"])
      .default("starttls")
      .describe(
        "`starttls`: encrypted once connected, or not at all; `tls`: from the first byte; `none`: never, for a server of your own.",
      ),
    user: z.string().min(1).optional().describe("The user name, where the server asks for one."),
    password: secretSetting("The password beside it.").optional(),
    ca: z
      .string()
      .min(1)
      .optional()
      .describe("The authority of its certificate, where it is one of your own: a file, or PEM."),
    timeout_ms: z
      .int()
      .min(100)
      .max(600_000)
      .default(60_000)
      .describe("How long the server may be silent, while connecting and while it takes a mail."),
    allow_private: allowPrivateSetting,
  })
  .refine(({ user, password }) => (user === undefined) === (password === undefined), {
    error: "Give `user` and `password`, or neither.",
  })
  .describe("Mails by SMTP, through any mail server.");

const address = z.strictObject({
  email: z
    .string()
    .regex(/^[^@\s<>]+@[^@\s<>]+$/, "Not an address.")
    .describe("The address."),
  name: z.string().min(1).optional().describe("The name that is shown."),
});

export const options = z
  .strictObject({
    from: address.describe("Who sends."),
    reply_to: address.optional().describe("Where answers go. Default: to `from`."),
  })
  .describe("What is the same for all mails of the sync.");

export type SmtpSettings = z.output<typeof settings>;
export type SmtpOptions = z.output<typeof options>;
