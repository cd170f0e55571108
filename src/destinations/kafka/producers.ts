import type { Producer } from "@platformatic/kafka";
import { TailraceError } from "../../contracts/errors.ts";
import { lastLook } from "../../contracts/last-look.ts";
import type { Secret } from "../../kit/vendor/auth/secret.ts";
import { faultOf } from "./errors.ts";
import type { Library } from "./library.ts";
import type { Message } from "./messages.ts";

/** What a producer is made with; asked for each. */
export type Connect = Pick<
  ConstructorParameters<typeof Producer>[0],
  "bootstrapBrokers" | "tls" | "sasl" | "connectTimeout" | "requestTimeout"
>;

export type Placed = Message & { readonly partition: number };

/**
 * Idempotent producers, each used by one request at a time: the client's numbering of records is for one request at a time, and two
 * beside each other could make a broker take new records for repeats when one of them fails.
 */
export class Producers implements AsyncDisposable {
  readonly #library: () => Promise<Library>;
  readonly #connect: () => Connect;
  readonly #password: Secret | null;
  readonly #open = new Set<Producer>();
  readonly #idle: Producer[] = [];

  constructor(library: () => Promise<Library>, connect: () => Connect, password: Secret | null) {
    this.#library = library;
    this.#password = password;
    this.#connect = connect;
  }

  /** Runs `use`; a producer with which something went wrong is not used again. @throws what `use` threw, or `signal.reason` */
  async with<T>(signal: AbortSignal, use: (session: Session) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const library = await this.#library();
    const password = await this.#password?.value();
    const producer = this.#idle.pop() ?? this.#make(library);
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => {
      aborted.reject(signal.reason);
      this.#end(producer);
    };
    signal.addEventListener("abort", abort, { once: true });
    try {
      const result = await Promise.race([use(new Session(library, producer, signal)), aborted.promise]);
      this.#idle.push(producer);
      return result;
    } catch (error) {
      this.#end(producer);
      signal.throwIfAborted();
      if (await this.#isReplaced(error, password))
        throw new TailraceError("destination.unavailable", "Kafka refused the password, which is read anew");
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  async #isReplaced(error: unknown, password: string | undefined): Promise<boolean> {
    if (!(error instanceof TailraceError) || error.code !== "destination.auth" || password === undefined) return false;
    return (await this.#password?.refused(password)) === true;
  }

  #make(library: Library): Producer {
    const producer = new library.Producer({
      ...this.#connect(),
      clientId: "tailrace",
      idempotent: true,
      autocreateTopics: false,
      // Of one request, with its numbers: a broker drops what it has already.
      retries: 2,
      retryDelay: () => {
        lastLook();
        return 100;
      },
    });
    this.#open.add(producer);
    return producer;
  }

  #end(producer: Producer): void {
    if (!this.#open.delete(producer)) return;
    // The connections are gone, or go with it.
    producer.close().catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#idle.length = 0;
    const open = [...this.#open];
    this.#open.clear();
    await Promise.allSettled(open.map((producer) => producer.close()));
  }
}

/** One producer, while one write has it. */
export class Session {
  readonly #library: Library;
  readonly #producer: Producer;
  readonly #signal: AbortSignal;

  constructor(library: Library, producer: Producer, signal: AbortSignal) {
    this.#library = library;
    this.#producer = producer;
    this.#signal = signal;
  }

  /** The name of one of Kafka's errors. */
  errorName(code: number): string | undefined {
    return this.#library.protocolErrorsCodesById[code];
  }

  /** How many partitions a topic has, read anew. @throws TailraceError */
  async partitionsOf(topic: string): Promise<number> {
    return (await this.#topic(topic, true)).partitionsCount;
  }

  /** Each with its partition: that of Java's clients, so that other producers of the topic agree. Connections are there when it resolves. @throws TailraceError */
  async place(topic: string, messages: readonly Message[]): Promise<readonly Placed[]> {
    const { partitionsCount, partitions } = await this.#topic(topic, false);
    const placed = messages.map((message) => {
      const partition = (this.#library.murmur2(message.key) & 0x7fffffff) % partitionsCount;
      return { ...message, partition };
    });
    const leaders = new Set(placed.flatMap(({ partition }) => partitions[partition]?.leader ?? []));
    await this.#before(async () => {
      await this.#producer.connectToBrokers([...leaders]);
      if (this.#producer.producerId === undefined) await this.#producer.initIdempotentProducer({});
    });
    return placed;
  }

  /** Once all in-sync replicas have them. @throws the client's own error: `answersIn` and `faultOf` read it */
  async send(messages: readonly Placed[]): Promise<void> {
    lastLook();
    this.#signal.throwIfAborted();
    // A tombstone has no value, which the client's types do not know.
    await this.#producer.send({ messages: messages as (Placed & { value: Buffer })[] });
  }

  async #topic(topic: string, forceUpdate: boolean) {
    const { topics } = await this.#before(() => this.#producer.metadata({ topics: [topic], forceUpdate }));
    const found = topics.get(topic);
    if (found === undefined) throw faultOf(new Error(`Unknown topic ${topic}.`), false);
    return found;
  }

  async #before<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      throw faultOf(error, false);
    }
  }
}
