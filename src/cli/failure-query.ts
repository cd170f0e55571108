import { durationMs, DURATION } from "../app/config/units.ts";
import { CATALOGUE } from "../contracts/errors.ts";
import type { FailureQuery } from "../contracts/failures.ts";
import { quotedList } from "../app/config/suggest.ts";
import { closest } from "../contracts/did-you-mean.ts";
import { type Arguments, UsageError } from "./command.ts";

/** The options that say which failures. */
export const QUERY_OPTIONS = {
  code: { type: "string", multiple: true },
  op: { type: "string", multiple: true },
  message: { type: "string" },
  key: { type: "string", multiple: true },
  since: { type: "string" },
  until: { type: "string" },
} as const;

const OPS = ["create", "upsert", "update", "delete", "archive", "clear", "event"];

/** What the options ask for; null where none of them is given. */
export function queryOf(values: Arguments["values"], nowMs: number): FailureQuery | null {
  if (Object.keys(QUERY_OPTIONS).every((name) => values[name] === undefined)) return null;
  const text = values["message"];
  return {
    codes: listed(values, "code", Object.keys(CATALOGUE)),
    ops: listed(values, "op", OPS),
    text: typeof text === "string" ? text : undefined,
    key: textsOf(values, "key"),
    sinceMs: timeOf(values, "since", nowMs),
    untilMs: timeOf(values, "until", nowMs),
  };
}

function textsOf(values: Arguments["values"], name: string): readonly string[] | undefined {
  const given = values[name];
  return Array.isArray(given) ? given.map(String) : undefined;
}

function listed(values: Arguments["values"], name: string, known: readonly string[]): readonly string[] | undefined {
  const given = textsOf(values, name);
  for (const word of given ?? []) {
    if (known.includes(word)) continue;
    const near = closest(word, known);
    const hint = near !== null ? `; did you mean \`${near}\`?` : known === OPS ? ` (there are ${quotedList(OPS)})` : "";
    throw new UsageError(`There is no ${name} \`${word}\`${hint}`);
  }
  return given;
}

/** `2026-11-24`, `2026-11-24T08:00Z`: UTC where no zone is said; `2h`: so long ago. */
function timeOf(values: Arguments["values"], name: string, nowMs: number): number | undefined {
  const text = values[name];
  if (typeof text !== "string") return undefined;
  if (DURATION.test(text)) return nowMs - durationMs(text);
  const match = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/.exec(text);
  const ms = match === null ? NaN : Date.parse(match[1] === undefined && text.length > 10 ? `${text}Z` : text);
  if (Number.isNaN(ms))
    throw new UsageError(
      `--${name} takes a time (\`2026-11-24\`, \`2026-11-24T08:00Z\`) or how long ago (\`2h\`, \`3d\`).`,
    );
  return ms;
}
