import { randomUUID } from "node:crypto";
import type { Counts, StatusReport } from "../../contracts/state.ts";
import { ALERT_EVENTS, type Alert, type AlertEvent, type AlertFacts, type AlertLimits } from "./alert.ts";
import { Condition } from "./condition.ts";
import { RejectionWindow } from "./rejection-window.ts";
import { sentenceOf } from "./wording.ts";

/**
 * One sync's reports in, what is to be told out. A state is told once when it begins and once when it is over:
 *
 * - `stopped`, `paused`, `detached` at once; `waiting` after `maxWaitMs`; `behind`, `failures`, `silent` when they have held
 *   for {@link STEADY_MS};
 * - any of them is over when it has not held for {@link CLEAR_MS}; `behind` and `failures` cease to hold only at half of
 *   their limit;
 * - a report that cannot know (of a sync that starts, or is paused) changes nothing.
 */
export class AlertState {
  readonly #sync: string;
  readonly #limits: AlertLimits;
  readonly #conditions: Readonly<Record<AlertEvent, Condition>>;
  readonly #rejections = new RejectionWindow();

  constructor(sync: string, limits: AlertLimits) {
    this.#sync = sync;
    this.#limits = limits;
    const condition = (raiseAfterMs: number): Condition => new Condition(raiseAfterMs, CLEAR_MS);
    this.#conditions = {
      stopped: condition(0),
      paused: condition(0),
      waiting: condition(limits.maxWaitMs),
      behind: condition(STEADY_MS),
      failures: condition(STEADY_MS),
      silent: condition(STEADY_MS),
      detached: condition(0),
    };
  }

  /** `counts`: rows since the sync's pipeline was opened; null while there is none. Reports come in the order of their times. */
  see(report: StatusReport, counts: Counts | null, nowMs: number): readonly Alert[] {
    if (counts !== null) this.#rejections.add(counts, nowMs);
    const alerts: Alert[] = [];
    for (const event of ALERT_EVENTS) {
      const holds = this.#holds(event, report, counts);
      const told = holds === null ? null : this.#conditions[event].see(holds, nowMs);
      if (told === null) continue;
      const facts = this.#facts(report, counts);
      const message = sentenceOf(this.#sync, event, told.holds, facts, this.#limits);
      alerts.push({ id: randomUUID(), sync: this.#sync, event, ...told, atMs: nowMs, message, facts });
    }
    return alerts;
  }

  /** null: it cannot be told from this report. */
  #holds(event: AlertEvent, report: StatusReport, counts: Counts | null): boolean | null {
    const { phase, lagMs, sourceSilentMs } = report;
    if (phase === "starting" || phase === "standby") return null;
    if (event === "stopped" || event === "paused") return phase === event;
    if (phase === "stopped" || phase === "paused") return null;
    // From when it is told until it is over, half of a limit is still too much.
    const factor = this.#conditions[event].told ? 0.5 : 1;
    switch (event) {
      case "waiting":
        return phase === "waiting";
      case "behind":
        return counts === null || this.#limits.maxLagMs === null ? null : lagMs > this.#limits.maxLagMs * factor;
      case "failures": {
        if (counts === null) return null;
        const { share, enough } = this.#rejections.share;
        return (enough || this.#conditions.failures.told) && share > this.#limits.failureShare * factor;
      }
      case "silent":
        return sourceSilentMs === null ? null : sourceSilentMs > SILENT_MS;
      case "detached":
        return report.detached !== null;
    }
  }

  #facts({ phase, reason, lagMs, sourceSilentMs }: StatusReport, counts: Counts | null): AlertFacts {
    return {
      phase,
      reason,
      lagMs,
      sourceSilentMs,
      failureShare: counts === null ? null : this.#rejections.share.share,
    };
  }
}

export const STEADY_MS = 5_000;
export const CLEAR_MS = 10_000;
/** A source that says nothing for so long is not there: it answers to a keepalive every few seconds. */
export const SILENT_MS = 30_000;
