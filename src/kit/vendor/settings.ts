import * as z from "zod";
import { allowPrivateSetting } from "../address-guard.ts";
import { secretReference } from "../secret.ts";

/** What every vendor's settings have beside its own. */
export const connectionSettings = {
  base_url: z
    .string()
    .refine(isBaseUrl, { error: "Not an http(s) URL without user, query or fragment." })
    .optional()
    .describe("Where the API is, instead of the vendor's own address: a proxy, a sandbox, a mock."),
  timeout_ms: z
    .int()
    .min(100)
    .max(600_000)
    .default(60_000)
    .describe("How long one request may take, until the last byte of its answer."),
  allow_private: allowPrivateSetting,
};

export interface ConnectionSettings {
  readonly base_url?: string | undefined;
  readonly timeout_ms: number;
  readonly allow_private: boolean | string[];
}

/** A secret: a text (`${NAME}`), or where it is kept. */
export function secretSetting(description: string) {
  return z
    .union([
      z
        .string()
        .min(1)
        .regex(/^[^\r\n]+$/, "A secret is one line."),
      secretReference,
    ])
    .meta({ secret: true })
    .describe(`${description} A text, \`{ file: … }\` or \`{ command: […] }\`.`);
}

export type SecretSetting = z.output<ReturnType<typeof secretSetting>>;

/** Of the vendor's own address, or of what takes its place: `https://host:port` and the path before all others, without a `/` at its end. */
export function baseOf(url: string): { readonly origin: string; readonly path: string } {
  const { origin, pathname } = new URL(url);
  return { origin, path: pathname.replace(/\/+$/, "") };
}

function isBaseUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  return /^https?:$/.test(protocol) && username + password + search + hash === "";
}
