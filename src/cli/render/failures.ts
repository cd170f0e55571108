import type { FailureList } from "../../app/failures.ts";
import type { DroppedFailures } from "../../contracts/failures.ts";
import type { DeadLetter } from "../../contracts/state.ts";
import type { Paint } from "./paint.ts";
import { pairs, table } from "./table.ts";
import { printable } from "./printable.ts";
import { count, plural } from "./units.ts";

/** The reasons first, then one page of the letters. `some`: only those that a query holds for. */
export function renderFailures(page: FailureList, paint: Paint, some = false): string {
  if (page.total === 0) return `${page.sync} has no ${some ? "such " : ""}failures.\n`;
  const title = `${plural(page.total, some ? "such failure" : "failure")} of ${page.sync}`;
  const head = `${paint("bold", title)}\n\n${renderGroups(page.groups, paint)}`;
  if (page.failures.length === 0) return head;
  const letters = table(
    [
      { title: "ID" },
      { title: "KEY" },
      { title: "OP" },
      { title: "CODE" },
      { title: "ATTEMPTS", align: "right" },
      { title: "AT" },
    ],
    page.failures.map((letter) => [
      letter.id,
      printable(letter.key.join(", ")),
      letter.op,
      letter.code,
      count(letter.attempts),
      timeText(letter.failedAtMs),
    ]),
  );
  return `${head}\n${letters}${moreOf(page.total, page.offset, page.failures.length, paint)}`;
}

/** Why they failed, most frequent first. */
export function renderGroups(groups: FailureList["groups"], paint: Paint): string {
  return table(
    [{ title: "COUNT", align: "right" }, { title: "CODE" }, { title: "REASON" }],
    groups.map(({ code, message, count: letters }) => [count(letters), paint("red", code), printable(message)]),
  );
}

/** What was dropped, newest first. */
export function renderDropped(
  sync: string,
  { total, records }: DroppedFailures,
  { limit, offset }: { readonly limit: number; readonly offset: number },
  paint: Paint,
): string {
  if (total === 0) return `${sync} has dropped no failures.\n`;
  const head = paint("bold", `${plural(total, "dropped failure")} of ${sync}`);
  const last = offset + records.length;
  // The record of an old one is given up before its count is.
  const forgotten = records.length < limit && last < total;
  const end = forgotten
    ? paint("dim", `\nThe records of the ${count(total - last)} before are not kept any more.\n`)
    : moreOf(total, offset, records.length, paint);
  if (records.length === 0) return `${head}\n${end}`;
  const rows = table(
    [{ title: "DROPPED" }, { title: "BY" }, { title: "WHY" }, { title: "ID" }, { title: "KEY" }, { title: "REASON" }],
    records.map((record) => [
      timeText(record.droppedAtMs),
      printable(record.droppedBy),
      printable(record.why ?? "–"),
      record.id,
      printable(record.key.join(", ")),
      `${printable(record.message)} (${record.code})`,
    ]),
  );
  return `${head}\n\n${rows}${end}`;
}

function moreOf(total: number, offset: number, shown: number, paint: Paint): string {
  const last = offset + shown;
  return last < total ? paint("dim", `\n${offset + 1}–${last} of ${total}; --offset ${last} for the next\n`) : "";
}

/** Everything about some letters; what a row held only with `values`. */
export function renderLetters(letters: readonly DeadLetter[], values: boolean, paint: Paint): string {
  return letters
    .map((letter) => {
      const lines: [string, string][] = [
        ["key", printable(letter.key.join(", "))],
        ["op", letter.op],
        ["reason", `${printable(letter.message)} (${paint("red", letter.code)})`],
        ["answer", printable(letter.answer ?? "none")],
        ["attempts", count(letter.attempts)],
        ["at", timeText(letter.failedAtMs)],
        ["values", valuesText(letter, values)],
      ];
      return `${paint("bold", letter.id)}\n${pairs(lines, "  ")}`;
    })
    .join("\n");
}

/** For machines: as kept, without the payload unless it is asked for. */
export function plainLetter(letter: DeadLetter, values: boolean): Record<string, unknown> {
  const { payload, failedAtMs, ...rest } = letter;
  return { ...rest, failedAt: new Date(failedAtMs).toISOString(), ...(values ? { payload } : {}) };
}

function valuesText({ payload }: DeadLetter, values: boolean): string {
  if (payload === null) return "not kept: a retry sends the row as it is then";
  return values ? printable(payload) : "kept; --values shows them";
}

/** `2026-11-24 07:52:17 UTC` */
function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
