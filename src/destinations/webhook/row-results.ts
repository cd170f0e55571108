import { DELIVERED } from "../../contracts/destination.ts";
import type { Delivery, Outcome } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { HttpAnswer } from "../../kit/http/client.ts";
import { isEncoded } from "./answers.ts";
import { answerText } from "../../kit/answer-text.ts";
import type { RowResultSettings } from "./settings.ts";

type Result = Readonly<Record<string, unknown>>;

/**
 * Reads one outcome a row from an answer. What the answer does not say for certain is never success: a row that is
 * missing is sent again, and when the results cannot be told apart (wrong number, a place or id twice or unknown)
 * the whole batch is unknown.
 *
 * @throws TailraceError `destination.unknown`
 */
export function rowOutcomes(
  settings: RowResultSettings,
  answer: HttpAnswer,
  batch: readonly Delivery[],
  keepAnswers: boolean,
): readonly Outcome[] {
  const results = assign(settings, listAt(settings.path, answer), batch);
  return batch.map((delivery, place) => {
    const result = results[place];
    if (result !== undefined) return outcomeOf(settings, result, delivery, keepAnswers);
    return settings.unlisted === "delivered" ? DELIVERED : retry("The answer has no result for this row");
  });
}

function unknown(message: string): TailraceError {
  return new TailraceError("destination.unknown", `The answer's per-row results cannot be used: ${message}`);
}

function listAt(path: string, answer: HttpAnswer): readonly unknown[] {
  if (answer.truncated) throw unknown("the answer is longer than `answer_bytes`");
  if (isEncoded(answer)) throw unknown("the answer is compressed, though that was not asked for");
  let value: unknown;
  try {
    value = JSON.parse(answer.body);
  } catch {
    throw unknown("the answer is not JSON");
  }
  for (const name of path === "" ? [] : path.split(".")) value = member(value, name);
  if (!Array.isArray(value))
    throw unknown(path === "" ? "the answer is not a list" : `there is no list at \`${path}\``);
  return value;
}

function member(value: unknown, name: string | undefined): unknown {
  if (name === undefined || !isObject(value) || !Object.hasOwn(value, name)) return undefined;
  return value[name];
}

function isObject(value: unknown): value is Result {
  return typeof value === "object" && value !== null;
}

/** The results by the rows' places in the batch. */
function assign(
  settings: RowResultSettings,
  list: readonly unknown[],
  batch: readonly Delivery[],
): readonly (Result | undefined)[] {
  const results = list.map((item): Result => {
    if (isObject(item)) return item;
    // A bare list of statuses: `["ok", 422]`.
    return settings.status === undefined ? {} : { [settings.status]: item };
  });
  const name = settings.index ?? settings.id;
  if (name === undefined) {
    if (results.length !== batch.length) throw unknown(`${results.length} results for ${batch.length} rows`);
    return results;
  }
  const places = settings.id === undefined ? null : new Map(batch.map(({ id }, place) => [id, place]));
  const byPlace: (Result | undefined)[] = Array.from({ length: batch.length });
  for (const result of results) {
    const value = member(result, name);
    const place = places === null ? indexOf(value) : places.get(String(value));
    if (place === undefined || place >= batch.length) throw unknown(`a result whose \`${name}\` is not of this batch`);
    if (byPlace[place] !== undefined) throw unknown(`two results with the same \`${name}\``);
    byPlace[place] = result;
  }
  return byPlace;
}

function indexOf(value: unknown): number | undefined {
  const index = typeof value === "string" && /^\d{1,9}$/.test(value) ? Number(value) : value;
  return typeof index === "number" && Number.isInteger(index) && index >= 0 ? index : undefined;
}

function outcomeOf(settings: RowResultSettings, result: Result, delivery: Delivery, keepAnswers: boolean): Outcome {
  // Where only failures are listed, being listed says it.
  const status = settings.status === undefined ? "rejected" : member(result, settings.status);
  if (typeof status !== "string" && typeof status !== "number" && typeof status !== "boolean") {
    return retry("The answer's result for this row has no status");
  }
  const said = String(status);
  const means = (values: readonly (string | number | boolean)[]) => values.some((value) => String(value) === said);
  if (settings.status !== undefined && means(settings.ok)) return DELIVERED;
  const reason = member(result, settings.error);
  const answer =
    reason === undefined || reason === null ? undefined : answerText(reasonText(reason), [delivery], [], keepAnswers);
  if (means(settings.retry)) return retry("The receiver did not take this row now", answer);
  const code = typeof status === "number" ? ` (${status})` : "";
  return {
    status: "rejected",
    error: new TailraceError("destination.refused", `The receiver refused this row${code}`, { answer }),
  };
}

function reasonText(reason: unknown): string {
  return typeof reason === "string" ? reason : JSON.stringify(reason);
}

function retry(message: string, answer?: string): Outcome {
  return { status: "retry", error: new TailraceError("destination.unavailable", message, { answer }) };
}
