import * as z from "zod";
import { connectionSettings, secretSetting } from "../../kit/vendor/settings.ts";

const origin = (text: string): boolean => URL.canParse(text) && new URL(text).origin === text;

export const settings = z
  .strictObject({
    login_url: z
      .string()
      .refine(origin, { error: "An origin alone: `https://acme.my.salesforce.com`." })
      .describe("Your My Domain, where tokens are asked for: `https://acme.my.salesforce.com`."),
    client_id: z.string().min(1).describe("The consumer key of your app in Salesforce."),
    client_secret: secretSetting(
      "The app's consumer secret. Alone: the client credentials flow; beside `refresh_token`: for renewing.",
    ).optional(),
    refresh_token: secretSetting("The refresh token that a user has granted to the app.").optional(),
    private_key: secretSetting(
      "The private key (PEM) of the certificate that the app has: the JWT bearer flow. Kept in a file.",
    ).optional(),
    username: z.string().min(1).optional().describe("With `private_key`: the user that the app acts for."),
    audience: z
      .string()
      .default("https://login.salesforce.com")
      .describe("With `private_key`: `https://test.salesforce.com` for a sandbox."),
    api_version: z
      .string()
      .regex(/^\d{2,3}\.0$/, "Like `62.0`.")
      .default("62.0")
      .describe("The version of Salesforce's API."),
    ...connectionSettings,
  })
  .refine(
    ({ client_secret, refresh_token, private_key }) =>
      private_key === undefined
        ? client_secret !== undefined || refresh_token !== undefined
        : client_secret === undefined && refresh_token === undefined,
    { error: "Give `client_secret`, `refresh_token` (with or without `client_secret`), or `private_key`." },
  )
  .refine(({ private_key, username }) => (private_key === undefined) === (username === undefined), {
    error: "`private_key` and `username` go together.",
  })
  .describe("Salesforce: any standard or custom object.");

export const options = z
  .strictObject({
    bulk_from: z
      .union([z.int().min(1), z.literal("never")])
      .default(2000)
      .describe(
        "A batch of so many rows is upserted by a job of Bulk API 2.0; smaller ones, or `never`: 200 a request.",
      ),
  })
  .describe("How this sync's rows are sent.");

export type SalesforceSettings = z.output<typeof settings>;
export type SalesforceOptions = z.output<typeof options>;
