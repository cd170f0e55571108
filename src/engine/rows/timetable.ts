import { Cron } from "croner";
import type { Schedule } from "../../contracts/model.ts";

/** When a model is to be compared. Lives as long as the process, however often its pipeline is made again. */
export class Timetable {
  readonly #schedule: Schedule | null;
  readonly #cron: Cron | null;
  readonly #madeAtMs: number;
  #begunAtMs: number | null = null;
  #asked = false;
  /** Called when one is asked for. */
  onAsked: (() => void) | null = null;

  constructor(schedule: Schedule | null, nowMs: number) {
    this.#madeAtMs = nowMs;
    this.#schedule = schedule;
    this.#cron = schedule?.kind === "cron" ? new Cron(schedule.expression, { timezone: schedule.timezone }) : null;
  }

  /** One is due now: what is read from here on is other than it was. */
  ask(): void {
    this.#asked = true;
    this.onAsked?.();
  }

  /** A comparison begins. `goesOn`: some of its rows were read before. */
  began(nowMs: number, goesOn = false): void {
    this.#begunAtMs = nowMs;
    if (!goesOn) this.#asked = false;
  }

  /** How long it is until the next one, in ms; null: there is none. `every` begins with one. */
  waitMs(nowMs: number): number | null {
    if (this.#asked) return 0;
    if (this.#schedule?.kind === "every") {
      return this.#begunAtMs === null ? 0 : Math.max(0, this.#begunAtMs + this.#schedule.ms - nowMs);
    }
    const next = this.#cron?.nextRun(new Date(this.#begunAtMs ?? this.#madeAtMs)) ?? null;
    return next === null ? null : Math.max(0, next.getTime() - nowMs);
  }
}
