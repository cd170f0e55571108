import type { ErrorTable } from "../../kit/vendor/errors.ts";
import { member, memberText } from "../../kit/vendor/json.ts";

/** https://developers.hubspot.com/docs/api-reference/error-handling */
export const errors: ErrorTable = {
  codes(body) {
    const message = memberText(body, "message") ?? "";
    // What is wrong with properties is JSON inside the message; values in it have their quotes escaped.
    const inMessage = [...message.matchAll(/[{,]"error":"([A-Z_]+)"/g)].map(([, code]) => code);
    const details = member(body, "errors");
    const inDetails = Array.isArray(details) ? details.map((detail) => memberText(detail, "code")) : [];
    const own = ["policyName", "subCategory", "category", "errorType"].map((name) => memberText(body, name));
    return [...inMessage, ...inDetails, ...own].filter((code) => code !== undefined);
  },
  byCode: {
    // Every row has these fields.
    PROPERTY_DOESNT_EXIST: "config",
    READ_ONLY_VALUE: "config",
    INVALID_EMAIL: "row",
    INVALID_OPTION: "row",
    INVALID_LONG: "row",
    INVALID_INTEGER: "row",
    INVALID_DOUBLE: "row",
    INVALID_DATE: "row",
    INVALID_BOOLEAN: "row",
    PROPERTY_VALUE_TOO_LONG: "row",
    REQUIRED_FIELD: "row",
    TEN_SECONDLY_ROLLING: "throttled",
    SECONDLY: "throttled",
    DAILY: "throttled",
    RATE_LIMIT: "throttled",
    RATE_LIMITS: "throttled",
    INVALID_AUTHENTICATION: "auth",
    EXPIRED_AUTHENTICATION: "auth",
    MISSING_SCOPES: "auth",
    OBJECT_NOT_FOUND: "row",
    OBJECT_ALREADY_EXISTS: "row",
    CONFLICT: "row",
    VALIDATION_ERROR: "row",
  },
  // 423: the records are locked by another batch; 477: the account is being moved.
  byStatus: { 423: "transient", 477: "transient" },
  afterMs(_answer, codes) {
    // The day ends at midnight of the account's time zone, which is not told.
    if (codes.includes("DAILY")) return 900_000;
    if (codes.includes("TEN_SECONDLY_ROLLING") || codes.includes("SECONDLY")) return 1000;
    return undefined;
  },
};
