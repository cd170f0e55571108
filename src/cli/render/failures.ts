import type { FailurePage } from "../../app/failures.ts";
import type { DeadLetter } from "../../contracts/state.ts";
import type { Paint } from "./paint.ts";
import { pairs, table } from "./table.ts";
import { printable } from "./printable.ts";
import { count, plural } from "./units.ts";

/** The reasons first, then one page of the letters. */
export function renderFailures(page: FailurePage, paint: Paint): string {
  if (page.total === 0) return `${page.sync} has no failures.\n`;
  const groups = table(
    [{ title: "COUNT", align: "right" }, { title: "CODE" }, { title: "REASON" }],
    page.groups.map(({ code, message, count: letters }) => [count(letters), paint("red", code), printable(message)]),
  );
  const head = `${paint("bold", `${plural(page.total, "failure")} of ${page.sync}`)}\n\n${groups}`;
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
  const last = page.offset + page.failures.length;
  const more =
    last < page.total
      ? paint("dim", `\n${page.offset + 1}–${last} of ${page.total}; --offset ${last} for the next\n`)
      : "";
  return `${head}\n${letters}${more}`;
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
