import * as z from "zod";
import { connectionSettings, secretSetting } from "../../kit/vendor/settings.ts";

/** https://www.braze.com/docs/api/basics/#endpoints */
const HOSTS = {
  "us-01": "rest.iad-01.braze.com",
  "us-02": "rest.iad-02.braze.com",
  "us-03": "rest.iad-03.braze.com",
  "us-04": "rest.iad-04.braze.com",
  "us-05": "rest.iad-05.braze.com",
  "us-06": "rest.iad-06.braze.com",
  "us-07": "rest.iad-07.braze.com",
  "us-08": "rest.iad-08.braze.com",
  "us-10": "rest.us-10.braze.com",
  "eu-01": "rest.fra-01.braze.eu",
  "eu-02": "rest.fra-02.braze.eu",
  "au-01": "rest.au-01.braze.com",
  "id-01": "rest.id-01.braze.com",
  "jp-01": "rest.jp-01.braze.com",
  "kr-01": "rest.kr-01.braze.com",
} as const;

type Instance = keyof typeof HOSTS;
const INSTANCES = Object.keys(HOSTS) as [Instance, ...Instance[]];

export const settings = z
  .strictObject({
    instance: z
      .enum(INSTANCES)
      .describe("Where your workspace is, as the address of your dashboard says: `us-03` for dashboard-03.braze.com."),
    key: secretSetting("A REST API key."),
    ...connectionSettings,
  })
  .describe("Braze: users, events, purchases and catalogs.");

export const options = z.strictObject({}).describe("Nothing.");

export type BrazeSettings = z.output<typeof settings>;
export type BrazeOptions = z.output<typeof options>;

export function originOf({ instance }: BrazeSettings): string {
  return `https://${HOSTS[instance]}`;
}
