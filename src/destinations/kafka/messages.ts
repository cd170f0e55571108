import type { Delivery, Target } from "../../contracts/destination.ts";
import { EnvelopeWriter } from "../../kit/envelope.ts";
import type { KafkaOptions } from "./settings.ts";

/** A record of Kafka, without its partition. */
export interface Message {
  readonly topic: string;
  readonly key: Buffer;
  /** null: a tombstone. */
  readonly value: Buffer | null;
  readonly headers: Map<Buffer, Buffer>;
}

const ID = Buffer.from("tailrace-id");
const OP = Buffer.from("tailrace-op");
const POSITION = Buffer.from("tailrace-position");

/** Makes records of one sync's deliveries. The same delivery makes the same bytes on every attempt. */
export class Messages {
  readonly #topic: string;
  readonly #options: KafkaOptions;
  readonly #envelope: EnvelopeWriter;

  constructor(topic: string, target: Target, options: KafkaOptions) {
    this.#topic = topic;
    this.#options = options;
    this.#envelope = new EnvelopeWriter(target.sync);
  }

  of(delivery: Delivery): Message {
    const { id, op, change, position } = delivery;
    return {
      topic: this.#topic,
      key: Buffer.from(this.#key(delivery)),
      value: this.#value(delivery),
      headers: new Map([
        [ID, Buffer.from(id)],
        [OP, Buffer.from(op === "event" ? change : op)],
        [POSITION, Buffer.from(position)],
      ]),
    };
  }

  #key(delivery: Delivery): string {
    if (this.#options.key === "json") return this.#envelope.key(delivery);
    const { key } = delivery;
    return key.length === 1 ? (key[0] ?? "") : JSON.stringify(key);
  }

  #value(delivery: Delivery): Buffer | null {
    if (delivery.op === "delete" && this.#options.tombstones) return null;
    return Buffer.from(this.#options.value === "record" ? delivery.record.json() : this.#envelope.write(delivery));
  }
}
