import { TailraceError } from "../../contracts/errors.ts";
import { member, memberText } from "../../kit/vendor/json.ts";
import type { ErrorTable } from "../../kit/vendor/errors.ts";

/** https://docs.slack.dev/reference/methods/chat.postMessage; a failure has status 200 and `ok: false`. */
export const errors: ErrorTable = {
  inSuccess: true,
  codes(body) {
    const code = memberText(body, "error");
    return member(body, "ok") === false && code !== undefined ? [code] : [];
  },
  byCode: {
    no_text: "row",
    invalid_blocks: "row",
    invalid_blocks_format: "row",
    invalid_attachments: "row",
    too_many_attachments: "row",
    cannot_reply_to_message: "row",
    invalid_metadata_format: "row",
    msg_too_long: "too-large",
    msg_blocks_too_long: "too-large",
    channel_not_found: "row",
    is_archived: "row",
    not_in_channel: "row",
    restricted_action: "row",
    restricted_action_read_only_channel: "row",
    ratelimited: "throttled",
    rate_limited: "throttled",
    message_limit_exceeded: "throttled",
    not_authed: "auth",
    invalid_auth: "auth",
    account_inactive: "auth",
    token_expired: "auth",
    token_revoked: "auth",
    no_permission: "auth",
    missing_scope: "auth",
    not_allowed_token_type: "auth",
    access_denied: "auth",
    internal_error: "transient",
    fatal_error: "unknown",
    service_unavailable: "transient",
    request_timeout: "unknown",
    team_added_to_org: "transient",
  },
};

const OF_CHANNEL =
  /: (channel_not_found|is_archived|not_in_channel|restricted_action|restricted_action_read_only_channel)$/;

/** A channel that no message can be sent to is wrong for every row when it is the sync's, and for one row when it is the row's. */
export function ofTheSyncsChannel(error: unknown): unknown {
  if (!(error instanceof TailraceError) || error.code !== "destination.refused" || !OF_CHANNEL.test(error.message))
    return error;
  return new TailraceError("destination.config", error.message, { answer: error.answer });
}
