import type { HistoryGap, HistoryRecord } from "../../app/history/record.ts";
import type { Trace } from "../../app/history/trace.ts";
import type { DeadLetter } from "../../contracts/state.ts";
import { AsIs } from "../json.ts";
import type { Paint, Style } from "./paint.ts";
import { printable } from "./printable.ts";
import { pairs } from "./table.ts";
import { count, plural } from "./units.ts";

/** One row's story, oldest first, and how it stands now. */
export function renderTrace(
  sync: string,
  key: readonly string[],
  { events, since, off }: Trace & { readonly off: boolean },
  failures: readonly DeadLetter[],
  paint: Paint,
): string {
  const head = `${paint("bold", `${sync}  ${printable(key.join(", "))}`)}\n`;
  const lines = events.map((event): [string, string] => {
    const [style, what] = NAMES[event.what];
    return [`${timeText(event.at)}  ${paint(style, what)}`, printable(textOf(event))];
  });
  const story = lines.length === 0 ? "" : pairs(lines, "  ");
  const nothing = events.every(({ what }) => what === "gap") ? `  ${nothingOf(since, off)}\n` : "";
  const now = failures
    .map(
      ({ id, message, code }) => `  a failure waits to be retried or dropped: ${id}, ${printable(message)} (${code})\n`,
    )
    .join("");
  return `${head}${story}${nothing}${now}`;
}

const NAMES: Readonly<Record<(HistoryRecord | HistoryGap)["what"], readonly [Style, string]>> = {
  captured: ["cyan", "captured"],
  read: ["cyan", "read"],
  sent: ["dim", "sent"],
  delivered: ["green", "delivered"],
  needless: ["dim", "not sent"],
  failed: ["yellow", "not taken"],
  rejected: ["red", "rejected"],
  gap: ["yellow", "not kept"],
};

function textOf(event: HistoryRecord | HistoryGap): string {
  switch (event.what) {
    case "captured":
      return lines(
        `${event.op}, committed ${timeText(event.committedAt)}, at ${event.position}`,
        event.was === undefined ? null : `its key was ${event.was.join(", ")}`,
        event.old === null ? null : `old ${JSON.stringify(event.old)}`,
        event.new === null ? null : `new ${JSON.stringify(event.new)}`,
        event.unsent === null ? null : UNSENT[event.unsent],
      );
    case "read":
      return lines(READ_FOR[event.by], event.new === null ? null : `row ${JSON.stringify(event.new)}`);
    case "sent":
      return lines(
        `${event.op} ${event.id}, attempt ${event.attempt}${event.rows === 1 ? "" : `, in a request of ${plural(event.rows, "row")}`}`,
        event.record,
      );
    case "delivered":
      return event.id;
    case "needless":
      return `${event.id}: when it was to be sent the row was gone, outside of \`where\`, or (of a removal) there again`;
    case "failed":
      return `${event.message} (${event.code})`;
    case "rejected":
      return lines(
        `${event.id}: ${event.message} (${event.code}), after ${plural(event.attempts, "attempt")}`,
        event.answer === null ? null : `answer ${event.answer}`,
        event.old === undefined || event.old === null ? null : `old ${JSON.stringify(event.old)}`,
        event.new === undefined || event.new === null ? null : `new ${JSON.stringify(event.new)}`,
      );
    case "gap":
      return `since ${timeText(event.since)} ${
        event.because === "rate"
          ? `${plural(event.rows, "row")} of this sync came faster than they are kept here`
          : `${count(event.rows)} records of this sync could not be written`
      }; this row may have been among them`;
  }
}

const UNSENT = {
  where: "not sent: the row is outside of `where`",
  other: "not sent: the mode does not send this, or a row that was read has it already",
} as const;

function nothingOf(since: number | null, off: boolean): string {
  if (off) return "The history is turned off (`history: off`).";
  if (since === null) return "There is no history on this machine yet.";
  return `Nothing is known of such a row since ${timeText(since)}, where the history on this machine begins.`;
}

function lines(...parts: readonly (string | null)[]): string {
  return parts.filter((part) => part !== null).join("\n");
}

/** `2026-11-24 07:52:17.031` UTC */
function timeText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 23).replace("T", " ");
}

/** For machines. */
export function plainEvent(event: HistoryRecord | HistoryGap): Record<string, unknown> {
  const { sync: _, at, ...rest } = event;
  const plain: Record<string, unknown> = { at: new Date(at).toISOString(), ...rest };
  for (const name of ["committedAt", "since"])
    if (typeof plain[name] === "number") plain[name] = new Date(plain[name]).toISOString();
  for (const name of ["old", "new"]) if (plain[name] !== undefined) plain[name] = new AsIs(plain[name]);
  return plain;
}

const READ_FOR = {
  backfill: "with the rows that exist",
  retry: "for a retry of its failure",
  query: "because a table that the model reads changed",
  scan: "when all rows were compared with what was sent",
} as const;
