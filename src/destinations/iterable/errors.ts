import type { ErrorTable } from "../../kit/vendor/errors.ts";
import { memberText } from "../../kit/vendor/json.ts";

/** Of users that are not there: to be deleted, they are gone already. */
export const NOT_THERE: ReadonlySet<string> = new Set(["UnknownEmailError", "UnknownUserIdError"]);

/** Codes of Iterable's answers (https://api.iterable.com/api/docs), and its lists of users that a bulk request did not take. */
export const errors: ErrorTable = {
  codes: (body) => [memberText(body, "code")].filter((code) => code !== undefined),
  byCode: {
    RequestFieldsTypesMismatched: "row",
    InvalidEmailAddressError: "row",
    InvalidUserIdError: "row",
    EmailAlreadyExists: "row",
    UserIdAlreadyExists: "row",
    ExternalKeyConflict: "row",
    ForgottenUserError: "row",
    UnknownEmailError: "row",
    UnknownUserIdError: "row",
    BadParams: "row",
    BatchTooLarge: "too-large",
    BadJsonBody: "config",
    UniqueFieldsLimitExceeded: "config",
    RateLimitExceeded: "throttled",
    DatabaseError: "transient",
    BadApiKey: "auth",
    BadAuthorizationHeader: "auth",
    Forbidden: "auth",
    Unauthorized: "auth",
    invalidEmails: "row",
    invalidUserIds: "row",
    invalidDataEmails: "row",
    invalidDataUserIds: "row",
    conflictEmails: "row",
    conflictUserIds: "row",
    forgottenEmails: "row",
    forgottenUserIds: "row",
    disallowedEventNames: "row",
    // A user of another sync may be on the way.
    notFoundEmails: "transient",
    notFoundUserIds: "transient",
  },
};
