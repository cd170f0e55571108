import type { ErrorTable } from "../../kit/vendor/errors.ts";
import { member, memberText } from "../../kit/vendor/json.ts";

/** What is said only in words. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/above the limit of \d+ cells/, "CELL_LIMIT"],
  [/more than the maximum of \d+ characters/, "CELL_TOO_LONG"],
  [/exceeds grid limits|No grid with id|Unable to parse range/, "NO_SUCH_RANGE"],
];

/** https://developers.google.com/workspace/sheets/api/troubleshoot-api-errors, https://cloud.google.com/apis/design/errors */
export const errors: ErrorTable = {
  codes(body) {
    const error = member(body, "error");
    const message = memberText(error, "message") ?? "";
    const status = memberText(error, "status");
    const words = WORDS.filter(([pattern]) => pattern.test(message)).map(([, code]) => code);
    return status === undefined ? words : [...words, status];
  },
  byCode: {
    CELL_LIMIT: "config",
    NO_SUCH_RANGE: "config",
    CELL_TOO_LONG: "row",
    INVALID_ARGUMENT: "row",
    RESOURCE_EXHAUSTED: "throttled",
    UNAUTHENTICATED: "auth",
    PERMISSION_DENIED: "auth",
    NOT_FOUND: "config",
    FAILED_PRECONDITION: "config",
    ABORTED: "transient",
    DEADLINE_EXCEEDED: "transient",
    INTERNAL: "transient",
    UNAVAILABLE: "transient",
  },
};
