import { TailraceError } from "../../contracts/errors.ts";
import type { ErrorCode } from "../../contracts/errors.ts";
import type { HttpAnswer } from "../../kit/http/client.ts";
import { retryAfterMs } from "../../kit/http/retry-after.ts";
import type { AnswerSettings } from "./settings.ts";

type StatusList = readonly (number | string)[];
type Meaning = "delivered" | "retry" | "rejected";

const MEANINGS: readonly Meaning[] = ["delivered", "rejected", "retry"];

const DEFAULTS: Readonly<Record<Meaning, StatusList>> = {
  // 207 says that the rows fared differently: never a success as a whole.
  delivered: ["200-206", "208-299"],
  rejected: [400, 409, 413, 422],
  retry: [408, 425, 429, "5xx"],
};

/** What an answer as a whole means. */
export class AnswerRules {
  readonly #meanings = new Map<number, Meaning>();
  readonly #expect: AnswerSettings["expect"];
  readonly #urlPerRow: boolean;

  constructor(settings: AnswerSettings, urlPerRow: boolean) {
    this.#expect = settings.expect;
    this.#urlPerRow = urlPerRow;
    for (const meaning of MEANINGS) if (settings[meaning] === undefined) this.#add(DEFAULTS[meaning], meaning);
    if (urlPerRow && settings.rejected === undefined) this.#add([404, 410], "rejected");
    // With per-row results a 207 can be read.
    if (settings.rows !== undefined && settings.delivered === undefined) this.#add([207], "delivered");
    // What is said outright comes after the defaults, and so wins.
    for (const meaning of MEANINGS) this.#add(settings[meaning] ?? [], meaning);
  }

  #add(list: StatusList, meaning: Meaning): void {
    for (const item of list) {
      const [first, last] = statusRange(item);
      for (let status = first; status <= last; status++) this.#meanings.set(status, meaning);
    }
  }

  /**
   * Null: taken (or, with per-row results, to be read row by row). Otherwise the error that says what to do; its message has the
   * status and nothing of the body.
   */
  judge(answer: HttpAnswer, origin: string): TailraceError | null {
    const { status } = answer;
    const said = `${origin} answered ${status}`;
    switch (this.#meanings.get(status)) {
      case "delivered":
        return this.#unexpected(answer, said);
      case "rejected":
        return new TailraceError(
          status === 413 ? "destination.too_large" : "destination.refused",
          `The receiver answered ${status}`,
        );
      case "retry": {
        const afterMs = retryAfterMs(answer.headers["retry-after"]);
        const throttled = status === 429 || (status === 503 && afterMs !== undefined);
        return new TailraceError(throttled ? "destination.throttled" : "destination.unavailable", said, { afterMs });
      }
      case undefined:
        return new TailraceError(...this.#wrongForEveryRow(answer, said));
    }
  }

  #wrongForEveryRow({ status, headers }: HttpAnswer, said: string): [code: ErrorCode, message: string] {
    if (status === 401 || status === 403) return ["destination.auth", said];
    if (status === 207) {
      return [
        "destination.config",
        `${said}, which has a result for each row: say with \`answers.rows\` how to read it`,
      ];
    }
    if (status >= 300 && status < 400) {
      const to = this.#urlPerRow ? null : redirectOrigin(headers["location"]);
      const where = to === null ? "" : ` to ${to}`;
      return [
        "destination.config",
        `${said}, a redirect${where}. Redirects are not followed: set \`url\` to the final address`,
      ];
    }
    if (status === 404 || status === 410) return ["destination.config", `${said}: there is nothing at this \`url\``];
    if (status === 405) return ["destination.config", `${said}: it does not take this \`method\``];
    return ["destination.config", `${said}, which is in none of the lists of \`answers\``];
  }

  /** A success that does not look like the receiver's own: a proxy's page, a captive portal. */
  #unexpected(answer: HttpAnswer, said: string): TailraceError | null {
    if (this.#expect === undefined) return null;
    const { content_type: mediaType, body_contains: text } = this.#expect;
    const unknown = (message: string) => new TailraceError("destination.unknown", `${said}, but ${message}`);
    const got = (answer.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase();
    if (mediaType !== undefined && got !== mediaType.toLowerCase())
      return unknown("not with the expected `content_type`");
    if (text === undefined) return null;
    if (isEncoded(answer)) return unknown("compressed, though that was not asked for");
    return answer.body.includes(text) ? null : unknown("without the text of `body_contains`");
  }
}

export function isEncoded(answer: HttpAnswer): boolean {
  const encoding = answer.headers["content-encoding"];
  return encoding !== undefined && encoding.toLowerCase() !== "identity";
}

function statusRange(item: number | string): [first: number, last: number] {
  if (typeof item === "number") return [item, item];
  if (item.endsWith("xx")) return [Number(item[0]) * 100, Number(item[0]) * 100 + 99];
  const [first, last] = item.split("-");
  return [Number(first), Number(last ?? first)];
}

/** Only the origin: a path could hold what was in the row. */
function redirectOrigin(location: string | undefined): string | null {
  if (location === undefined || !URL.canParse(location)) return null;
  const { origin } = new URL(location);
  return origin === "null" ? null : origin;
}
