import type { ErrorTable } from "../../kit/vendor/errors.ts";
import { member, memberText } from "../../kit/vendor/json.ts";
import type { Answer } from "../../kit/vendor/session.ts";

/** https://developers.facebook.com/docs/graph-api/guides/error-handling and …/graph-api/overview/rate-limiting */
export const errors: ErrorTable = {
  codes(body) {
    const error = member(body, "error");
    const code = memberText(error, "code");
    if (code === undefined) return [];
    const subcode = memberText(error, "error_subcode");
    return [
      ...(subcode === undefined ? [] : [`${code}/${subcode}`]),
      code,
      ...(member(error, "is_transient") === true ? ["is_transient"] : []),
    ];
  },
  // 100, an invalid parameter, is of a row unless its subcode says otherwise: the status decides.
  byCode: {
    "100/33": "config",
    "100/2804003": "row",
    "100/2804050": "row",
    "1": "transient",
    "2": "transient",
    is_transient: "transient",
    "3": "auth",
    "10": "auth",
    "102": "auth",
    "190": "auth",
    "200": "auth",
    "12": "config",
    "368": "config",
    "803": "config",
    "2635": "config",
    "4": "throttled",
    "17": "throttled",
    "32": "throttled",
    "341": "throttled",
    "613": "throttled",
    "80000": "throttled",
    "80003": "throttled",
    "80004": "throttled",
    "80014": "throttled",
  },
  afterMs: (answer, codes) => (codes.some((code) => THROTTLED.test(code)) ? regainMs(answer) : undefined),
};

const THROTTLED = /^(4|17|32|341|613|800\d\d)$/;

/** The longest of the pauses that the usage headers name, in ms. */
function regainMs({ headers }: Answer): number | undefined {
  const account = parsed(headers["x-ad-account-usage"]);
  const business = Object.values(parsed(headers["x-business-use-case-usage"])).flatMap((uses) =>
    Array.isArray(uses) ? (uses as unknown[]) : [],
  );
  const pauses = [
    ...business.map((use) => Number(memberText(use, "estimated_time_to_regain_access") ?? NaN) * 60_000),
    Number(memberText(account, "reset_time_duration") ?? NaN) * 1000,
  ].filter((ms) => Number.isFinite(ms) && ms >= 0);
  return pauses.length === 0 ? undefined : Math.max(...pauses);
}

function parsed(header: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(header ?? "{}");
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
