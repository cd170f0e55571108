import * as z from "zod";
import { connectionSettings, secretSetting } from "../../kit/vendor/settings.ts";

export const settings = z
  .strictObject({
    key: secretSetting("A private API key (`pk_…`)."),
    ...connectionSettings,
  })
  .describe("Klaviyo: profiles, lists, subscriptions and events.");

export const options = z.strictObject({}).describe("Nothing.");

export type KlaviyoSettings = z.output<typeof settings>;
export type KlaviyoOptions = z.output<typeof options>;
