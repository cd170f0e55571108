import type { ErrorTable } from "../../kit/vendor/errors.ts";
import { memberText } from "../../kit/vendor/json.ts";

const LOCKED = "UNABLE_TO_LOCK_ROW";

/**
 * REST: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm; of rows:
 * https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_concepts_core_data_objects.htm (StatusCode)
 */
export const errors: ErrorTable = {
  codes: (body) => (Array.isArray(body) ? body.flatMap((error) => codesOf(error, "errorCode")) : []),
  byCode: {
    INVALID_SESSION_ID: "auth",
    API_DISABLED_FOR_ORG: "auth",
    API_CURRENTLY_DISABLED: "auth",
    INSUFFICIENT_ACCESS: "auth",
    REQUEST_LIMIT_EXCEEDED: "throttled",
    TXN_SECURITY_METERING_ERROR: "throttled",
    [LOCKED]: "transient",
    SERVER_UNAVAILABLE: "transient",
    REQUEST_RUNNING_TOO_LONG: "transient",
    QUERY_TIMEOUT: "transient",
    UNKNOWN_EXCEPTION: "transient",
    // Somebody makes room, or it will be told row by row once the attempts are used up.
    STORAGE_LIMIT_EXCEEDED: "transient",
    INVALID_FIELD: "config",
    INVALID_TYPE: "config",
    NOT_FOUND: "config",
    INVALID_FIELD_FOR_INSERT_UPDATE: "config",
    MALFORMED_QUERY: "config",
    FEATURENOTENABLED: "config",
    // A value that is none of its field's type, of some row of the request.
    JSON_PARSER_ERROR: "row",
    DUPLICATE_EXTERNAL_ID: "row",
    DUPLICATE_VALUE: "row",
    DUPLICATES_DETECTED: "row",
    ENTITY_IS_DELETED: "row",
    ENTITY_IS_LOCKED: "row",
    FIELD_CUSTOM_VALIDATION_EXCEPTION: "row",
    FIELD_FILTER_VALIDATION_EXCEPTION: "row",
    FIELD_INTEGRITY_EXCEPTION: "row",
    CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY: "row",
    INSUFFICIENT_ACCESS_OR_READONLY: "row",
    INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY: "row",
    INVALID_CROSS_REFERENCE_KEY: "row",
    INVALID_EMAIL_ADDRESS: "row",
    INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST: "row",
    INVALID_TYPE_ON_FIELD_IN_RECORD: "row",
    MALFORMED_ID: "row",
    NUMBER_OUTSIDE_VALID_RANGE: "row",
    REQUIRED_FIELD_MISSING: "row",
    STRING_TOO_LONG: "row",
    DELETE_FAILED: "row",
  },
  byStatus: { 414: "config", 431: "config" },
  afterMs(answer, codes) {
    if (!codes.includes("REQUEST_LIMIT_EXCEEDED")) return undefined;
    // The requests of 24 hours, which pass one by one; else too many of long duration at a time.
    return answer.text.includes("TotalRequests") ? 900_000 : 5000;
  },
};

/** The codes of one error. A trigger that met a lock says so only in its message. */
export function codesOf(error: unknown, name: "errorCode" | "statusCode"): readonly string[] {
  const code = memberText(error, name);
  if (code === undefined) return [];
  return memberText(error, "message")?.includes(LOCKED) === true ? [LOCKED, code] : [code];
}

/** Of a job's results: `CODE:message:fields --`. */
export function codesOfText(text: string): readonly string[] {
  const [, code] = /^([A-Z][A-Z_]+):/.exec(text) ?? [];
  return text.includes(LOCKED) ? [LOCKED] : code === undefined ? [] : [code];
}
