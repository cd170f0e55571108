import type { StatusReport } from "../../contracts/state.ts";

/** What is told of a sync. Each begins once and ends once. */
export const ALERT_EVENTS = ["stopped", "paused", "waiting", "behind", "failures", "silent", "detached"] as const;

export type AlertEvent = (typeof ALERT_EVENTS)[number];

/** One message to the hooks: that something has begun at a sync, or is over. Holds no row values and no secrets. */
export interface Alert {
  /** The same for every try. */
  readonly id: string;
  readonly sync: string;
  readonly event: AlertEvent;
  /** False: it is over. */
  readonly holds: boolean;
  /** ms since the epoch: when it began. */
  readonly sinceMs: number;
  readonly atMs: number;
  /** What is the matter, in a sentence. */
  readonly message: string;
  readonly facts: AlertFacts;
}

export interface AlertFacts extends Pick<StatusReport, "phase" | "reason" | "lagMs" | "sourceSilentMs"> {
  /** Of the rows lately, 0 to 1; null where nothing is known. */
  readonly failureShare: number | null;
}

/** What counts as trouble of a sync. */
export interface AlertLimits {
  /** Lag beyond which it is behind, in ms; null: it never is. */
  readonly maxLagMs: number | null;
  /** How long it may wait for a destination or a source, in ms. */
  readonly maxWaitMs: number;
  /** Rejected rows of all rows beyond which there are too many failures, 0 to 1. */
  readonly failureShare: number;
}
