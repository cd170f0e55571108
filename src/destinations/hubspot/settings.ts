import * as z from "zod";
import { connectionSettings, secretSetting } from "../../kit/vendor/settings.ts";

export const settings = z
  .strictObject({
    token: secretSetting("A private app's access token (`pat-…`).").optional(),
    oauth: z
      .strictObject({
        client_id: z.string().min(1).describe("The app's client id."),
        client_secret: secretSetting("The app's client secret."),
        refresh_token: secretSetting("The refresh token of its installation in your account."),
      })
      .optional()
      .describe("An app of your own instead of a private app's token."),
    ...connectionSettings,
  })
  .refine(({ token, oauth }) => (token === undefined) !== (oauth === undefined), { error: "Give `token` or `oauth`." })
  .describe("HubSpot CRM: contacts, companies, deals and other objects.");

const name = z.string().min(1);

export const options = z
  .strictObject({
    associate: z
      .array(
        z
          .strictObject({
            to: name.describe("The other object: `companies`."),
            by: name.describe("The other object's property that finds the record: `domain`, `hs_object_id`."),
            field: name.describe("The field of `map` with its value. It is no property, and is not sent as one."),
            type: z
              .int()
              .min(1)
              .optional()
              .describe("The id of a labelled association type. Default: the unlabelled one."),
            category: z
              .enum(["HUBSPOT_DEFINED", "INTEGRATOR_DEFINED", "USER_DEFINED"])
              .default("USER_DEFINED")
              .describe("Who defined `type`."),
          })
          .describe("One association."),
      )
      .default([])
      .describe("Records that each record is associated with. Associations are added, and never removed."),
  })
  .describe("How this sync's records are associated with others.");

export type HubSpotSettings = z.output<typeof settings>;
export type HubSpotOptions = z.output<typeof options>;
export type Association = HubSpotOptions["associate"][number];
