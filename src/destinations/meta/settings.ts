import * as z from "zod";
import { connectionSettings, secretSetting } from "../../kit/vendor/settings.ts";

export const ACTION_SOURCES = [
  "app",
  "business_messaging",
  "chat",
  "email",
  "other",
  "phone_call",
  "physical_store",
  "system_generated",
  "website",
] as const;

export const settings = z
  .strictObject({
    pixel_id: z.string().regex(/^\d+$/, "An id is a number, as a text.").describe("The pixel's (dataset's) id."),
    access_token: secretSetting("A system user's access token (`EAA…`)."),
    version: z
      .string()
      .regex(/^v\d+\.\d+$/, "A version is `v25.0`.")
      .default("v25.0")
      .describe("The version of the Graph API."),
    ...connectionSettings,
  })
  .describe("Meta: conversion events for Facebook and Instagram ads.");

export const options = z
  .strictObject({
    event: z
      .string()
      .min(1)
      .optional()
      .describe("The name of every event: `Purchase`, `Lead`. Default: the text of the field `event_name`."),
    action_source: z
      .enum(ACTION_SOURCES)
      .optional()
      .describe("Where every event came about. Default: the text of the field `action_source`."),
    limited_data_use: z
      .strictObject({
        country: z.int().min(0).default(0).describe("`data_processing_options_country`; 0: Meta finds out."),
        state: z.int().min(0).default(0).describe("`data_processing_options_state`; 0: Meta finds out."),
      })
      .optional()
      .describe("Every event is sent with `data_processing_options: [LDU]`. Default: the field of this name."),
    test_event_code: z
      .string()
      .min(1)
      .optional()
      .describe("Events are shown in Events Manager under Test events, and are not counted otherwise."),
  })
  .describe("What the events are.");

export type MetaSettings = z.output<typeof settings>;
export type MetaOptions = z.output<typeof options>;
