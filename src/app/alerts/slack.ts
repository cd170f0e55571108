import type { Message } from "./message.ts";

/** The body of a Slack incoming webhook: `text` is what a notification shows, `blocks` what the channel does. */
export function slackText({ type, atMs, data }: Message): string {
  const sign =
    type === "test" ? ":information_source:" : type === "sync.recovered" ? ":white_check_mark:" : ":warning:";
  const head = `${sign} *${escaped(data.message)}*`;
  const reason = data.reason === null ? "" : `\n>${escaped(data.reason).replaceAll(/\s*\n\s*/g, "\n>")}`;
  const at = Math.floor(atMs / 1000);
  return JSON.stringify({
    text: shortened(`${data.message}${data.reason === null ? "" : ` ${data.reason}`}`, LONGEST),
    blocks: [
      { type: "section", text: { type: "mrkdwn", text: shortened(head + reason, LONGEST) } },
      {
        type: "context",
        elements: [
          {
            type: "mrkdwn",
            text: `project ${escaped(data.project)} · <!date^${at}^{date_num} {time_secs}|${new Date(atMs).toISOString()}>`,
          },
        ],
      },
    ],
  });
}

/** Slack's own three control characters. */
function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

/** Slack refuses a section of more than 3000 characters. */
const LONGEST = 2900;
