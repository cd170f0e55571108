import type { Delivery, Field } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { Operations, Place, VendorField, VendorFields } from "../../kit/vendor/definition.ts";
import { oneRequest } from "../../kit/vendor/operation.ts";
import { Outcomes, allDelivered } from "../../kit/vendor/outcomes.ts";
import { RecordText } from "../../kit/vendor/record-text.ts";
import type { SendGridOptions, SendGridSettings } from "./settings.ts";

/** Personalizations of one request; each is a mail of its own. */
export const MOST_MAILS = 1000;

type MailPlace = Place<SendGridSettings, SendGridOptions>;

const TO = "email";
const NAME = "name";
const ID = "tailrace_id";

/** Of a mail without a template. */
const CONTENT = ["subject", "text", "html"];

export function fields({ target, options: { template } }: MailPlace): VendorFields {
  const to: VendorField[] = [
    { name: TO, type: "string", required: true },
    { name: NAME, type: "string" },
  ];
  if (template !== undefined) return { fields: to, open: true };
  if (mapped(target.shape.fields, "template_id"))
    return { fields: [...to, { name: "template_id", type: "string", required: true }], open: true };
  if (!mapped(target.shape.fields, "text") && !mapped(target.shape.fields, "html"))
    throw new TailraceError(
      "destination.config",
      "A mail needs `options.template`, or a field `template_id`, `text` or `html`",
    );
  const content = CONTENT.map((name): VendorField => ({ name, type: "string", required: name === "subject" }));
  return { fields: [...to, ...content], open: false };
}

/** https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send; a request is taken as a whole (202), or refused. */
export function operations({ options, target }: MailPlace): Operations {
  const { template } = options;
  const perRow = template === undefined;
  const byTemplate = perRow && mapped(target.shape.fields, "template_id");
  const notData = new Set([TO, NAME, ...(byTemplate ? ["template_id"] : [])]);
  const data = new RecordText(({ name }) => (notData.has(name) ? null : { value: "json", null: "null" }));
  const shared = sharedOf(options);

  const personalization = (row: Delivery): string => {
    const name = textOf(row, NAME);
    const to = `{"email":${jsonString(textOf(row, TO) ?? "")}${name === null || name === "" ? "" : `,"name":${jsonString(name)}`}}`;
    const withData = template !== undefined || byTemplate ? `,"dynamic_template_data":${data.object(row.record)}` : "";
    return `{"to":[${to}],"custom_args":{"${ID}":"${row.id}"}${withData}}`;
  };
  const contentOf = (row: Delivery): string => {
    if (template !== undefined) return `"template_id":${jsonString(template)}`;
    if (byTemplate) return `"template_id":${jsonString(textOf(row, "template_id") ?? "")}`;
    const parts = (["text", "html"] as const).flatMap((kind) => {
      const text = textOf(row, kind);
      return text === null ? [] : [`{"type":"text/${kind === "text" ? "plain" : "html"}","value":${jsonString(text)}}`];
    });
    return `"subject":${jsonString(textOf(row, "subject") ?? "")},"content":[${parts.join(",")}]`;
  };

  const send = oneRequest({
    // Only a template of the sync makes mails that differ in nothing but their data.
    rows: perRow ? 1 : MOST_MAILS,
    call: (rows) => ({
      method: "POST",
      path: "/v3/mail/send",
      body: `{"personalizations":[${rows.map(personalization).join(",")}],${contentOf(rows[0]!)},${shared}}`,
    }),
    // Any other status says nothing of the mails.
    read: ({ status }, rows) => {
      const taken = status === 202 || (options.sandbox && status === 200);
      return taken ? allDelivered(rows) : new Outcomes(rows).whereSaid();
    },
  });
  return { create: send, event: send };
}

/** What is the same for all mails, as JSON members. */
function sharedOf({
  from,
  reply_to: replyTo,
  categories,
  unsubscribe_group: group,
  ip_pool: pool,
  sandbox,
}: SendGridOptions): string {
  const members: Record<string, unknown> = {
    from,
    reply_to: replyTo,
    categories: categories.length === 0 ? undefined : categories,
    asm: group === undefined ? undefined : { group_id: group },
    ip_pool_name: pool,
    mail_settings: sandbox ? { sandbox_mode: { enable: true } } : undefined,
  };
  return JSON.stringify(members).slice(1, -1);
}

function mapped(fieldsOfMap: readonly Field[], name: string): boolean {
  return fieldsOfMap.some((field) => field.name === name);
}

/** null: it is null, or not mapped. */
function textOf({ record: { shape, values } }: Delivery, name: string): string | null {
  const value = values[shape.fields.findIndex((field) => field.name === name)];
  return typeof value === "string" ? value : null;
}
