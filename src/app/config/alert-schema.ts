import * as z from "zod";
import { allowPrivateSetting } from "../../kit/address-guard.ts";
import { signingSecretSetting } from "../../kit/http/signature.ts";
import { ALERT_EVENTS } from "../alerts/alert.ts";

const text = z.string().min(1);

/** Which keys belong to which type is checked here, so that there is one table of them all. */
export const alert = z
  .strictObject({
    type: z.enum(["webhook", "slack", "command"]).meta({
      description:
        "`webhook`: JSON to a URL. `slack`: a Slack incoming webhook, or one that takes the same. `command`: a program.",
    }),
    url: text
      .refine(isHttpUrl, { error: "Not an http(s) URL, or one with a user in it." })
      .optional()
      .meta({
        secret: true,
        description: "Types `webhook` and `slack`: where to send.",
        examples: ["${SLACK_URL}"],
      }),
    secret: signingSecretSetting.optional().meta({
      secret: true,
      description: "Type `webhook`: signs every request by Standard Webhooks, `whsec_…` or `whsk_…`.",
      examples: ["${ALERT_SECRET}"],
    }),
    allow_private: allowPrivateSetting.meta({
      description:
        "Types `webhook` and `slack`: private and local addresses that may be reached, `true` for all, or a list of hosts, addresses and networks. By default none may.",
      examples: ["[alerts.internal]"],
    }),
    command: z
      .array(text)
      .min(1)
      .optional()
      .meta({
        description:
          "Type `command`: the program and its arguments; no shell. A path with a `/` is relative to this file.",
        examples: ["[./page.sh, ops]"],
      }),
    events: z
      .array(z.enum(ALERT_EVENTS))
      .min(1)
      .optional()
      .meta({ description: "What is told, and the end of it. Default: all.", examples: ["[stopped, behind]"] }),
    syncs: z
      .array(text)
      .min(1)
      .optional()
      .meta({ description: "The syncs that it is told of. Default: all.", examples: ["[users_to_crm]"] }),
  })
  .superRefine((value, context) => {
    const wrong = (key: string, message: string): void => {
      context.addIssue({ code: "custom", message, path: [key] });
    };
    if (value.type === "command") {
      if (value.command === undefined)
        context.addIssue({ code: "custom", message: "an alert of type `command` needs a `command`" });
      for (const key of ["url", "secret"] as const)
        if (value[key] !== undefined) wrong(key, `\`${key}\` is not for an alert of type \`command\``);
      if (value.allow_private !== false)
        wrong("allow_private", "`allow_private` is not for an alert of type `command`");
      return;
    }
    if (value.url === undefined)
      context.addIssue({ code: "custom", message: `an alert of type \`${value.type}\` needs a \`url\`` });
    if (value.command !== undefined) wrong("command", "`command` is for an alert of type `command`");
    if (value.type === "slack" && value.secret !== undefined)
      wrong("secret", "`secret` is for an alert of type `webhook`; Slack does not look at signatures");
  });

function isHttpUrl(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, username, password } = new URL(value);
  return /^https?:$/.test(protocol) && username === "" && password === "";
}

export type AlertInput = z.output<typeof alert>;
