import { DELIVERED, type Delivery, type Field } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { jsonString } from "../../contracts/json-string.ts";
import { UNCHANGED } from "../../contracts/values.ts";
import type { Operation, Operations, Place, VendorField, VendorFields } from "../../kit/vendor/definition.ts";
import { member } from "../../kit/vendor/json.ts";
import { requestEach } from "../../kit/vendor/operation.ts";
import { Outcomes } from "../../kit/vendor/outcomes.ts";
import { type FieldText, RecordText } from "../../kit/vendor/record-text.ts";
import type { Answer, Call } from "../../kit/vendor/session.ts";
import { ofTheSyncsChannel } from "./errors.ts";
import type { SlackOptions, SlackSettings } from "./settings.ts";

/** Slack cuts off what is longer, and says so only in a warning. */
const TEXT_CHARACTERS = 40_000;

const OF_A_MESSAGE: readonly VendorField[] = [
  { name: "channel", type: "string" },
  { name: "text", type: "string" },
  { name: "blocks", type: "json" },
  { name: "attachments", type: "json" },
  { name: "thread_ts", type: "string" },
  { name: "reply_broadcast", type: "boolean" },
  { name: "username", type: "string" },
  { name: "icon_emoji", type: "string" },
  { name: "icon_url", type: "string" },
  { name: "mrkdwn", type: "boolean" },
  { name: "unfurl_links", type: "boolean" },
  { name: "unfurl_media", type: "boolean" },
];

export function fields({ options: { channel, digest } }: Place<SlackSettings, SlackOptions>): VendorFields {
  if (digest !== undefined) return { fields: [{ name: "text", type: "string", required: true }], open: false };
  const own = OF_A_MESSAGE.filter(({ name }) => name !== "channel" || channel === undefined);
  return {
    fields: own.map((field) => (field.name === "channel" ? { ...field, required: true } : field)),
    open: false,
  };
}

export function operations({ target, options }: Place<SlackSettings, SlackOptions>): Operations {
  const { channel, digest } = options;
  const message = new RecordText((field) => ({ value: valueOf(field), null: null }));
  const textPlace = target.shape.fields.findIndex(({ name }) => name === "text");
  const opening = channel === undefined ? "" : `"channel":${jsonString(channel)}`;
  const each = requestEach({
    call(row) {
      checkLength(textOf(row, textPlace) ?? "");
      return post([opening, message.members(row.record)].filter((part) => part !== "").join(","));
    },
    read: (answer, row) => readAnswer(answer, [row])[0]!,
  });
  const together: Operation = {
    rows: digest?.rows ?? 1,
    async send(rows, session) {
      const lines = rows.map((row) => textOf(row, textPlace) ?? "").filter((line) => line !== "");
      const text = [...(digest?.title === undefined ? [] : [digest.title]), ...lines].join("\n");
      checkLength(text);
      return readAnswer(await session.request(post(`${opening},"text":${jsonString(text)}`)), rows);
    },
  };
  const send = digest === undefined ? each : together;
  const operation: Operation = {
    rows: send.rows,
    async send(rows, session) {
      try {
        const outcomes = await send.send(rows, session);
        const [first] = outcomes;
        if (channel !== undefined && first?.status === "rejected") {
          const error = ofTheSyncsChannel(first.error);
          if (error !== first.error) throw error;
        }
        return outcomes;
      } catch (error) {
        throw channel === undefined ? error : ofTheSyncsChannel(error);
      }
    },
  };
  return { create: operation, event: operation };
}

function post(members: string): Call {
  return {
    method: "POST",
    path: "/chat.postMessage",
    contentType: "application/json; charset=utf-8",
    body: `{${members}}`,
  };
}

/** A message, or the digest of a batch, was posted, or it was not. */
function readAnswer(answer: Answer, rows: readonly Delivery[]) {
  const outcomes = new Outcomes(rows);
  if (member(answer.object(), "ok") === true) for (const place of rows.keys()) outcomes.set(place, DELIVERED);
  return outcomes.whereSaid();
}

/** @throws TailraceError `destination.too_large` */
function checkLength(text: string): void {
  if (text.length > TEXT_CHARACTERS)
    throw new TailraceError(
      "destination.too_large",
      `Slack cuts a text of more than ${TEXT_CHARACTERS} characters off`,
    );
}

/** As Slack is to be sent it: a column's text is shown as it is, a template's is Slack's own markup. */
function textOf({ record }: Delivery, place: number): string | null {
  const value = record.values[place];
  if (value === undefined || value === null || value === UNCHANGED) return null;
  return record.shape.fields[place]!.type === null ? value : escaped(value);
}

function valueOf({ name, type }: Field): FieldText["value"] {
  return name === "text" && type !== null ? (text) => jsonString(escaped(text)) : "json";
}

/** Else `<!channel>` in somebody's name would call everybody. */
function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
