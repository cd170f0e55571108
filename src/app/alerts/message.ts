import { randomUUID } from "node:crypto";
import type { Alert } from "./alert.ts";

/** What a hook is given: an alert, or a test. */
export interface Message {
  /** The same for every try. */
  readonly id: string;
  /** `sync.stopped`, … when it begins; `sync.recovered` when it is over; `test`. */
  readonly type: string;
  readonly atMs: number;
  /** In the order in which it is written; docs/alerts.md explains each. */
  readonly data: Readonly<Record<string, string | number | null>> & {
    readonly project: string;
    readonly message: string;
    readonly reason: string | null;
  };
}

export function messageOf(project: string, alert: Alert): Message {
  const { id, sync, event, holds, atMs, sinceMs, message, facts } = alert;
  return {
    id,
    type: holds ? `sync.${event}` : "sync.recovered",
    atMs,
    data: {
      project,
      sync,
      event,
      state: holds ? "began" : "over",
      since: isoTime(sinceMs),
      message,
      // Why it began; what it says now is not why it is over.
      reason: holds ? facts.reason : null,
      phase: facts.phase,
      lag_ms: facts.lagMs,
      source_silent_ms: facts.sourceSilentMs,
      failure_share: facts.failureShare,
    },
  };
}

export function testMessage(project: string, nowMs: number): Message {
  const message = `This is a test: alerts of project ${project} arrive here.`;
  return { id: randomUUID(), type: "test", atMs: nowMs, data: { project, message, reason: null } };
}

/** The body for webhooks and programs. */
export function jsonOf({ type, atMs, data }: Message): string {
  return JSON.stringify({ type, timestamp: isoTime(atMs), data });
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
