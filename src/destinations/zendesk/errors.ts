import type { ErrorTable } from "../../kit/vendor/errors.ts";
import { member, memberList, memberText } from "../../kit/vendor/json.ts";

/** https://developer.zendesk.com/api-reference/introduction/requests/, …/rate-limits/ */
export const errors: ErrorTable = {
  codes(body) {
    const error = member(body, "error");
    const codes = [typeof error === "string" ? error : memberText(error, "title")];
    for (const each of memberList(body, "errors")) codes.push(memberText(each, "code"));
    return codes.filter((code) => code !== undefined);
  },
  byCode: {
    TooManyJobs: "throttled",
    TooManyRequests: "throttled",
    APIRateLimitExceeded: "throttled",
    Forbidden: "auth",
    InvalidEndpoint: "config",
    RecordInvalid: "row",
    RecordNotFound: "row",
    UserCreateError: "row",
    UserUpdateError: "row",
    OrganizationCreateError: "row",
    OrganizationUpdateError: "row",
    TicketCreateFailed: "row",
    TicketUpdateFailed: "row",
    PermissionDenied: "row",
  },
  afterMs(answer, codes) {
    // At most 30 jobs are queued or running: one of them ends soon.
    if (codes.includes("TooManyJobs")) return 5000;
    const seconds = answer.headers["ratelimit-reset"];
    return answer.status === 429 && seconds !== undefined && /^\d+$/.test(seconds) ? Number(seconds) * 1000 : undefined;
  },
};
