import type { AlertEvent, AlertFacts, AlertLimits } from "./alert.ts";

/** What an alert says to people. The reason stands beside it. */
export function sentenceOf(
  sync: string,
  event: AlertEvent,
  holds: boolean,
  facts: AlertFacts,
  limits: AlertLimits,
): string {
  return `Sync ${sync} ${holds ? begun(event, facts, limits) : OVER[event]}.`;
}

function begun(event: AlertEvent, { lagMs, sourceSilentMs, failureShare }: AlertFacts, limits: AlertLimits): string {
  switch (event) {
    case "stopped":
      return "has stopped and needs a person";
    case "paused":
      return "is paused; its source keeps the log until it is resumed";
    case "waiting":
      return `has waited for ${seconds(limits.maxWaitMs)} and more: nothing is delivered`;
    case "behind":
      return `is behind by ${seconds(lagMs)}; at most ${seconds(limits.maxLagMs ?? 0)} is wanted`;
    case "failures":
      return `rejects ${percent(failureShare ?? 0)} of its rows; at most ${percent(limits.failureShare)} is wanted`;
    case "silent":
      return `has heard nothing from its source for ${seconds(sourceSilentMs ?? 0)}`;
    case "detached":
      return "is behind the others of its source, and reads from a slot of its own";
  }
}

const OVER: Readonly<Record<AlertEvent, string>> = {
  stopped: "goes on after a stop",
  paused: "goes on after a pause",
  waiting: "delivers again",
  behind: "has caught up",
  failures: "rejects few rows again",
  silent: "hears from its source again",
  detached: "reads with the others of its source again",
};

function seconds(ms: number): string {
  return `${ms < 10_000 ? Number((ms / 1000).toFixed(1)) : Math.round(ms / 1000)} s`;
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(2))} %`;
}
