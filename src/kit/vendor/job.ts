import { hash } from "node:crypto";
import type { Delivery, Outcome, WriterMemory } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Operation } from "./definition.ts";
import type { Session } from "./session.ts";

export type JobState =
  /** `afterMs`: when the vendor says to look again. */
  | { readonly kind: "running"; readonly afterMs?: number | undefined }
  | { readonly kind: "ended" }
  /** The vendor does not know it any more, or gave it up: its rows are sent again. */
  | { readonly kind: "lost" };

export interface JobSteps {
  readonly rows: number;
  /** Hands the rows over; the job's id, in at most 500 characters, and no row's value in it. */
  submit(rows: readonly Delivery[], session: Session): Promise<string>;
  poll(id: string, session: Session): Promise<JobState>;
  /** What became of each row, once it has ended. */
  results(id: string, rows: readonly Delivery[], session: Session): Promise<readonly Outcome[]>;
  /** How long between two looks, in ms: from `first`, by half more each time, to `longest`. */
  readonly everyMs?: { readonly first: number; readonly longest: number };
}

/**
 * Jobs that a vendor does in its own time. A job is waited for within the write that submits it, so that nothing newer of its rows is sent
 * beside it. Its id is kept before it is waited for: after a restart, jobs of before are waited for first, and one that has the very same
 * rows is not submitted again. A writer has one.
 */
export class Jobs {
  readonly #memory: WriterMemory;
  /** Id by what it was submitted for. */
  readonly #running: Map<string, string>;
  /** Of {@link #running}: nobody waits for them, since the restart, or since looking at them failed. */
  readonly #earlier: Set<string>;
  /** Once of {@link #earlier}, and ended since. */
  readonly #ended = new Map<string, string>();
  #steps: JobSteps | null = null;
  #settling: Promise<void> | null = null;
  #keeping: Promise<void> = Promise.resolve();

  constructor(memory: WriterMemory) {
    this.#memory = memory;
    this.#running = new Map(Object.entries(JSON.parse(memory.text ?? "{}") as Record<string, string>));
    this.#earlier = new Set(this.#running.keys());
  }

  operation(steps: JobSteps): Operation {
    this.#steps ??= steps;
    return { rows: steps.rows, send: (rows, session) => this.#send(steps, rows, session) };
  }

  async #send(steps: JobSteps, rows: readonly Delivery[], session: Session): Promise<readonly Outcome[]> {
    const batch = hash("sha256", rows.map(({ id }) => id).join("\n"), "base64url").slice(0, 22);
    await this.settle(session);
    let id = this.#running.get(batch) ?? this.#ended.get(batch);
    if (id === undefined) {
      id = await steps.submit(rows, session);
      this.#running.set(batch, id);
      await this.#keep();
    }
    let outcomes: readonly Outcome[] | null;
    try {
      const state = this.#ended.has(batch) ? "ended" : await untilEnd(steps, id, session);
      outcomes = state === "ended" ? await steps.results(id, rows, session) : null;
    } catch (error) {
      // The job goes on: the same rows find it again, and any others are not sent beside it.
      if (this.#running.has(batch)) this.#earlier.add(batch);
      throw error;
    }
    this.#running.delete(batch);
    this.#ended.delete(batch);
    await this.#keep();
    if (outcomes === null) throw new TailraceError("destination.unknown", "The job came to no end that is known");
    return outcomes;
  }

  /** Resolves when jobs that nobody waits for have ended: nothing is sent, by whatever operation, while one may still write something older. */
  async settle(session: Session): Promise<void> {
    if (this.#earlier.size === 0 || this.#steps === null) return;
    this.#settling ??= this.#settleEarlier(this.#steps, session).finally(() => (this.#settling = null));
    await this.#settling;
  }

  async #settleEarlier(steps: JobSteps, session: Session): Promise<void> {
    for (const batch of this.#earlier) {
      const id = this.#running.get(batch)!;
      const state = await untilEnd(steps, id, session);
      if (state === "ended") this.#ended.set(batch, id);
      this.#running.delete(batch);
      this.#earlier.delete(batch);
    }
  }

  /** One write of the memory at a time, the newest last. */
  #keep(): Promise<void> {
    this.#keeping = this.#keeping
      .catch(() => {})
      .then(() =>
        this.#memory.keep(this.#running.size === 0 ? null : JSON.stringify(Object.fromEntries(this.#running))),
      );
    return this.#keeping;
  }
}

async function untilEnd(steps: JobSteps, id: string, session: Session): Promise<"ended" | "lost"> {
  const { first, longest } = steps.everyMs ?? { first: 1000, longest: 30_000 };
  let waitMs = first;
  for (;;) {
    const state = await steps.poll(id, session);
    if (state.kind !== "running") return state.kind;
    await session.pace.wait(state.afterMs ?? waitMs, session.signal);
    waitMs = Math.min(waitMs * 1.5, longest);
  }
}
