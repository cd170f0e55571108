import type { ErrorTable } from "../../kit/vendor/errors.ts";
import { memberList, memberText } from "../../kit/vendor/json.ts";

/** https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling: JSON:API errors, each with a code and a pointer. */
export const errors: ErrorTable = {
  codes: (body) =>
    memberList(body, "errors")
      .map((error) => memberText(error, "code"))
      .filter((code) => code !== undefined),
  byCode: {
    invalid: "row",
    duplicate_profile: "row",
    duplicate_event: "row",
    throttled: "throttled",
    not_authenticated: "auth",
    authentication_failed: "auth",
    permission_denied: "auth",
    not_found: "config",
  },
};
