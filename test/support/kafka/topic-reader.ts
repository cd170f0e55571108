import { once } from "node:events";
import { Consumer, type MessagesStream } from "@platformatic/kafka";

/** One record, as any consumer of the topic sees it. */
export interface TopicRecord {
  readonly partition: number;
  readonly offset: bigint;
  readonly key: string;
  /** null: a tombstone. */
  readonly value: string | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** Reads a topic from its beginning. */
export class TopicReader implements AsyncDisposable {
  readonly #topic: string;
  readonly #consumer: Consumer;
  readonly #records: TopicRecord[] = [];
  readonly #read: bigint[] = [];
  #stream: MessagesStream<Buffer, Buffer, Buffer, Buffer> | null = null;

  constructor(bootstrapBrokers: readonly string[], topic: string) {
    this.#topic = topic;
    this.#consumer = new Consumer({
      clientId: "test",
      groupId: `test-${topic}-${String(process.hrtime.bigint())}`,
      bootstrapBrokers: [...bootstrapBrokers],
      maxWaitTime: 50,
    });
  }

  /** All that the topic has now; of one partition, in its order. */
  async records(): Promise<readonly TopicRecord[]> {
    const ends = (await this.#consumer.listOffsets({ topics: [this.#topic] })).get(this.#topic) ?? [];
    const stream = (this.#stream ??= await this.#begin());
    while (ends.some((end, partition) => (this.#read[partition] ?? 0n) < end)) await once(stream, "data");
    return [...this.#records];
  }

  async #begin(): Promise<MessagesStream<Buffer, Buffer, Buffer, Buffer>> {
    const stream = await this.#consumer.consume({ topics: [this.#topic], mode: "earliest", autocommit: false });
    stream.on("data", ({ partition, offset, key, value, headers }) => {
      const none = (value as Buffer | null | undefined) ?? null;
      this.#records.push({
        partition,
        offset,
        key: key.toString(),
        value: none === null ? null : none.toString(),
        headers: Object.fromEntries([...headers].map(([name, text]) => [name.toString(), text.toString()])),
      });
      this.#read[partition] = offset + 1n;
    });
    return stream;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stream?.close();
    await this.#consumer.close();
  }
}
