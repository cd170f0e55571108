import { Cron } from "croner";
import type { Schedule } from "../../contracts/model.ts";

/** When a model is to be compared. Lives as long as the process, however often its pipeline is made again. */
export class Timetable {
  readonly #schedule: Schedule | null;
  readonly #cron: Cron | null;
  readonly #madeAtMs: number;
  #begunAtMs: number | null = null;

  constructor(schedule: Schedule | null, nowMs: number) {
    this.#madeAtMs = nowMs;
    this.#schedule = schedule;
    this.#cron = schedule?.kind === "cron" ? new Cron(schedule.expression, { timezone: schedule.timezone }) : null;
  }

  /** A comparison begins. */
  began(nowMs: number): void {
    this.#begunAtMs = nowMs;
  }

  /** How long it is until the next one, in ms; null: there is none. `every` begins with one. */
  waitMs(nowMs: number): number | null {
    if (this.#schedule?.kind === "every") {
      return this.#begunAtMs === null ? 0 : Math.max(0, this.#begunAtMs + this.#schedule.ms - nowMs);
    }
    const next = this.#cron?.nextRun(new Date(this.#begunAtMs ?? this.#madeAtMs)) ?? null;
    return next === null ? null : Math.max(0, next.getTime() - nowMs);
  }
}
