import type { ErrorTable } from "../../kit/vendor/errors.ts";
import { memberList, memberText } from "../../kit/vendor/json.ts";

/** https://www.braze.com/docs/api/errors/; catalogs have codes, users have none. */
export const errors: ErrorTable = {
  codes: (body) =>
    memberList(body, "errors")
      .map((error) => memberText(error, "id"))
      .filter((code) => code !== undefined),
  byCode: {
    "catalog-not-found": "config",
    // Every row has these fields.
    "invalid-fields": "config",
    "invalid-ids": "row",
    "ids-too-large": "row",
    "items-missing-ids": "row",
    "items-too-large": "row",
    "invalid-keys-in-value-object": "row",
    "too-deep-nesting-in-value-object": "row",
    "unable-to-coerce-value": "row",
    "arbitrary-error": "transient",
  },
  afterMs({ status, headers }) {
    if (status !== 429) return undefined;
    const seconds = Number(headers["x-ratelimit-retry-after"] ?? NaN);
    if (seconds >= 0) return seconds * 1000;
    // The end of the window, in seconds since the epoch.
    const endsAt = Number(headers["x-ratelimit-reset"] ?? NaN);
    return endsAt > 0 ? Math.max(0, endsAt * 1000 - Date.now()) : undefined;
  },
};
