import { hash } from "node:crypto";
import type { Delivery } from "../../contracts/destination.ts";
import type { VendorFields } from "../../kit/vendor/definition.ts";
import type { Library } from "./library.ts";
import type { SmtpOptions } from "./settings.ts";

export const FIELDS: VendorFields = {
  fields: [
    { name: "email", type: "string", required: true },
    { name: "name", type: "string" },
    { name: "subject", type: "string", required: true },
    { name: "text", type: "string" },
    { name: "html", type: "string" },
  ],
  open: false,
};

export interface Message {
  readonly envelope: { readonly from: string; readonly to: string[] };
  readonly bytes: Buffer;
}

/** A mail as it goes over the wire. A line break in a name or a subject ends no header. */
export async function messageOf(
  row: Delivery,
  { from, reply_to: replyTo }: SmtpOptions,
  library: Library,
): Promise<Message> {
  const to = textOf(row, "email") ?? "";
  const mail = new library.MailComposer({
    from: { address: from.email, name: from.name ?? "" },
    ...(replyTo === undefined ? {} : { replyTo: { address: replyTo.email, name: replyTo.name ?? "" } }),
    to: { address: to, name: textOf(row, "name") ?? "" },
    subject: textOf(row, "subject") ?? "",
    text: textOf(row, "text") ?? undefined,
    html: textOf(row, "html") ?? undefined,
    messageId: messageId(row, from.email),
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return { envelope: { from: from.email, to: [to] }, bytes: await mail.compile().build() };
}

/** The same on every retry: a mail program shows a repeat once. */
export function messageId({ id }: Delivery, from: string): string {
  return `<${hash("sha256", id, "hex").slice(0, 40)}@${from.slice(from.lastIndexOf("@") + 1)}>`;
}

function textOf({ record: { shape, values } }: Delivery, name: string): string | null {
  const value = values[shape.fields.findIndex((field) => field.name === name)];
  return typeof value === "string" ? value : null;
}
