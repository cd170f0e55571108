import type { Delivery, Outcome } from "../../contracts/destination.ts";
import { TailraceError, type ErrorCode } from "../../contracts/errors.ts";
import { answerText } from "../answer-text.ts";
import { retryAfterMs } from "../http/retry-after.ts";
import type { Answer } from "./session.ts";

/**
 * What an answer means to us.
 *
 * - `row`: this row, or one of this batch, will never be taken. `too-large`: because it is too large.
 * - `throttled`: too much at the moment. `transient`: it cannot serve now.
 * - `auth`: the credentials are refused. `config`: the request is wrong for every row.
 * - `unknown`: it may have been taken.
 */
export type Meaning = "row" | "too-large" | "throttled" | "transient" | "auth" | "config" | "unknown";

/** A vendor's errors, by its own codes and by status. What stands here comes before the defaults, and codes before statuses. */
export interface ErrorTable {
  /** The vendor's codes in an answer's body as parsed (undefined: it is not JSON), or in its text; the most telling first. */
  codes?(body: unknown, text?: string): readonly string[];
  readonly byCode?: Readonly<Record<string, Meaning>>;
  readonly byStatus?: Readonly<Record<number, Meaning>>;
  /** ms until it may be asked again, where the vendor has a way of its own to say so. `Retry-After` is read anyway. */
  afterMs?(answer: Answer, codes: readonly string[]): number | undefined;
  /** The vendor answers 200 to what failed: a 2xx with one of its codes is an error. */
  readonly inSuccess?: boolean;
}

const CODES: Readonly<Record<Meaning, ErrorCode>> = {
  row: "destination.refused",
  "too-large": "destination.too_large",
  throttled: "destination.throttled",
  transient: "destination.unavailable",
  auth: "destination.auth",
  config: "destination.config",
  unknown: "destination.unknown",
};

function byStatus(status: number): Meaning {
  if (status === 400 || status === 409 || status === 422) return "row";
  if (status === 413) return "too-large";
  if (status === 401 || status === 403) return "auth";
  if (status === 429) return "throttled";
  if (status === 408 || status === 425 || status >= 500) return "transient";
  return "config";
}

/** A vendor's errors as ours. Their messages hold the vendor's name, the status and codes of the table: nothing that a row could have brought. */
export class VendorErrors {
  readonly #title: string;
  readonly #table: ErrorTable;

  constructor(title: string, table: ErrorTable) {
    this.#title = title;
    this.#table = table;
  }

  /** Null: the answer is no error. `rows`: what the answer may echo. */
  judge(answer: Answer, rows: readonly Delivery[], accepted: readonly number[]): TailraceError | null {
    const { status } = answer;
    const success = (status >= 200 && status < 300) || accepted.includes(status);
    if (success && this.#table.inSuccess !== true) return null;
    const codes = this.#table.codes?.(answer.body(), answer.text) ?? [];
    const known = codes.find((code) => this.#meaning(code) !== undefined);
    if (success && codes.length === 0) return null;
    const meaning =
      (known === undefined ? undefined : this.#meaning(known)) ?? this.#table.byStatus?.[status] ?? byStatus(status);
    const afterMs = retryAfterMs(answer.headers["retry-after"]) ?? this.#table.afterMs?.(answer, codes);
    const throttled = meaning === "throttled" || (meaning === "transient" && status === 503 && afterMs !== undefined);
    const redirect = status >= 300 && status < 400 ? "; redirects are not followed, see `base_url`" : "";
    return new TailraceError(
      CODES[throttled ? "throttled" : meaning],
      `${this.#title} answered ${status}${known === undefined ? "" : `: ${known}`}${redirect}`,
      { afterMs, answer: answerText(answer.text, rows, [], false) },
    );
  }

  /** What a result of one row means. `said`: what the vendor says of it, row values and all. */
  outcome(row: Delivery, codes: readonly string[], said: string, otherwise: Meaning = "row"): Outcome {
    const known = codes.find((code) => this.#meaning(code) !== undefined);
    const meaning = (known === undefined ? undefined : this.#meaning(known)) ?? otherwise;
    const answer = answerText([...codes, said].join(" "), [row], [], false);
    const because = known === undefined ? "" : `: ${known}`;
    if (meaning === "throttled" || meaning === "transient" || meaning === "unknown") {
      const error = new TailraceError(CODES[meaning], `${this.#title} did not take this row now${because}`, { answer });
      return { status: "retry", error };
    }
    // Of one row, while others are taken: credentials and the request are right.
    const code = meaning === "too-large" ? "destination.too_large" : "destination.refused";
    return {
      status: "rejected",
      error: new TailraceError(code, `${this.#title} refused this row${because}`, { answer }),
    };
  }

  #meaning(code: string): Meaning | undefined {
    const { byCode } = this.#table;
    return byCode !== undefined && Object.hasOwn(byCode, code) ? byCode[code] : undefined;
  }
}
