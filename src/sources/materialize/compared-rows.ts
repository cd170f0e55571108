import type { ModelRows } from "../../kit/feed/model-feed.ts";
import type { SubscribedFeed } from "./subscribed-feed.ts";

/** A query that is to be compared, though it could be followed. Each reading is as of one timestamp, whichever it is. */
export function comparedRows(feed: SubscribedFeed): ModelRows {
  return {
    kind: "rows",
    because: ["the model says `capture: diff`"],
    timeDependent: false,
    state: null,
    relation: (signal) => feed.relation(signal),
    scan: (after, limit, signal) => feed.scan(after, limit, signal),
    lookup: (keys, signal) => feed.lookup(keys, signal),
    estimate: () => feed.estimate(),
  };
}
