import type { ErrorTable } from "../../kit/vendor/errors.ts";
import { memberList, memberText } from "../../kit/vendor/json.ts";

/** https://developers.intercom.com/docs/references/rest-api/errors/error-codes */
export const errors: ErrorTable = {
  codes: (body) => memberList(body, "errors").flatMap((error) => memberText(error, "code") ?? []),
  byCode: {
    conflict: "row",
    resource_conflict: "row",
    parameter_invalid: "row",
    parameter_not_found: "row",
    parameter_missing: "row",
    missing_parameter: "row",
    data_invalid: "row",
    type_mismatch: "row",
    unprocessable_entity: "row",
    client_error: "row",
    bad_request: "row",
    rate_limit_exceeded: "throttled",
    too_many_requests: "throttled",
    server_error: "transient",
    request_timeout: "transient",
    service_unavailable: "transient",
    unauthorized: "auth",
    token_unauthorized: "auth",
    token_not_found: "auth",
    token_revoked: "auth",
    token_expired: "auth",
    forbidden: "auth",
    action_forbidden: "auth",
    api_plan_restricted: "config",
    unsupported: "config",
  },
  /** The window of ten seconds ends at a time that is told in seconds. */
  afterMs({ status, headers }) {
    const reset = Number(headers["x-ratelimit-reset"]);
    return status === 429 && reset > 0 ? Math.max(reset * 1000 - Date.now(), 0) : undefined;
  },
};
