import * as z from "zod";
import { connectionSettings, secretSetting } from "../../kit/vendor/settings.ts";

export const settings = z
  .strictObject({
    subdomain: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]*$/i, "The name alone: `acme` of `acme.zendesk.com`.")
      .describe("`acme` of `acme.zendesk.com`."),
    email: z
      .string()
      .min(3)
      .optional()
      .describe("With `api_token`: the address of the administrator that it acts for."),
    api_token: secretSetting("An API token.").optional(),
    access_token: secretSetting("An OAuth access token, instead of an API token.").optional(),
    oauth: z
      .strictObject({
        client_id: z.string().min(1).describe("The identifier of a confidential OAuth client."),
        client_secret: secretSetting("The client's secret."),
        scope: z.string().default("read write").describe("What the token may do."),
      })
      .optional()
      .describe("An OAuth client (client credentials), whose tokens are renewed by themselves."),
    ...connectionSettings,
  })
  .refine(
    ({ api_token, access_token, oauth }) =>
      [api_token, access_token, oauth].filter((way) => way !== undefined).length === 1,
    { error: "Give one of `api_token`, `access_token` and `oauth`." },
  )
  .refine(({ email, api_token }) => (email === undefined) === (api_token === undefined), {
    error: "`email` and `api_token` go together.",
  })
  .describe("Zendesk Support: users, organizations, tickets.");

export const options = z.strictObject({}).describe("Nothing.");

export type ZendeskSettings = z.output<typeof settings>;
