import { type Delivery, DELIVERED, type Outcome, type Pace, type Writer } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { answersIn, faultOf } from "./errors.ts";
import type { Messages } from "./messages.ts";
import type { Placed, Producers, Session } from "./producers.ts";

/** Writes one sync's deliveries to one topic. */
export class KafkaWriter implements Writer {
  readonly #producers: Producers;
  readonly #topic: string;
  readonly #messages: Messages;

  constructor(producers: Producers, topic: string, messages: Messages) {
    this.#producers = producers;
    this.#topic = topic;
    this.#messages = messages;
  }

  async write(batch: readonly Delivery[], signal: AbortSignal, pace?: Pace): Promise<readonly Outcome[]> {
    if (batch.length === 0) return [];
    const messages = batch.map((delivery) => this.#messages.of(delivery));
    return this.#producers.with(signal, async (session) => {
      const placed = await session.place(this.#topic, messages);
      const outcomes = await send(session, placed);
      for (const [place, outcome] of outcomes.entries()) {
        const message = placed[place];
        if (outcome.status !== "rejected" || message === undefined) continue;
        const beside = placed.filter(({ partition }) => partition === message.partition);
        // A partition's records are refused together, for one of them.
        if (beside.length === 1) continue;
        await pace?.request(signal);
        [outcomes[place] = outcome] = await send(session, [message]);
      }
      return outcomes;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** One request a broker. @throws TailraceError when nothing of it can be said to be taken or refused */
async function send(session: Session, messages: readonly Placed[]): Promise<Outcome[]> {
  try {
    await session.send(messages);
    return messages.map(() => DELIVERED);
  } catch (error) {
    if (error instanceof TailraceError) throw error;
    const answers = answersIn(error, (code) => session.errorName(code));
    const whole = faultOf(error, true);
    const outcomes = messages.map(({ topic, partition }) => outcomeOf(answers.get(`${topic}:${partition}`), whole));
    if (outcomes.every(({ status }) => status === "retry")) throw whole;
    return outcomes;
  }
}

function outcomeOf(answer: TailraceError | null | undefined, whole: TailraceError): Outcome {
  if (answer === null) return DELIVERED;
  const error = answer ?? (whole.consequence === "row-permanent" ? unsaid() : whole);
  return error.consequence === "row-permanent" ? { status: "rejected", error } : { status: "retry", error };
}

function unsaid(): TailraceError {
  return new TailraceError("destination.unknown", "Kafka: no broker said what became of it");
}
