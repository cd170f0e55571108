import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { resolve } from "node:path";
import type { Destination, DestinationContext, Target, Writer } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import { Secret } from "../../kit/vendor/auth/secret.ts";
import { type Library, loadLibrary } from "./library.ts";
import { Messages } from "./messages.ts";
import { type Connect, Producers } from "./producers.ts";
import { type KafkaSettings, options as optionsSchema } from "./settings.ts";
import { KafkaWriter } from "./writer.ts";

export const MODES = ["event", "upsert", "mirror", "insert"] as const;
export const DELETES = ["delete", "archive", "clear", "ignore"] as const;
const ROWS = 500;

export class KafkaDestination implements Destination {
  readonly limits;
  // A reader of the topic drops a repeat by the id in its header.
  readonly capabilities = { modes: MODES, deletes: DELETES, partialUpdates: false, idempotencyKey: false };
  readonly #settings: KafkaSettings;
  readonly #producers: Producers;
  #library: Promise<Library> | null = null;

  constructor(settings: KafkaSettings, { baseDirectory }: DestinationContext) {
    this.#settings = settings;
    this.limits = {
      batchRows: ROWS,
      batchBytes: settings.batch_bytes,
      concurrency: 4,
      perSecond: null,
      batchAgeMs: 0,
    };
    const { sasl } = settings;
    const password = sasl === undefined ? null : new Secret(sasl.password, "sasl.password", baseDirectory);
    const connect = connectionOf(settings, password, baseDirectory);
    this.#producers = new Producers(() => (this.#library ??= loadLibrary()), connect, password);
  }

  async check(targets: readonly Target[], signal: AbortSignal): Promise<readonly Finding[]> {
    const findings: Finding[] = [];
    for (const target of targets) {
      try {
        await this.#producers.with(signal, (session) => session.partitionsOf(this.#topicOf(target)));
      } catch (error) {
        signal.throwIfAborted();
        const { code, message, hint } = TailraceError.from(error);
        findings.push({ level: "error", code, message, fix: hint, subject: target.sync });
      }
    }
    const { sasl, tls } = this.#settings;
    if (sasl?.mechanism === "plain" && tls === false) {
      const message = "`sasl.mechanism: plain` without `tls`: the password is sent as it is.";
      findings.push({ level: "warning", code: "kafka.plain", message, fix: "Set `tls: true`, or use SCRAM." });
    }
    return findings;
  }

  // An async function, so that what is wrong with the target rejects.
  async open(target: Target): Promise<Writer> {
    if (!(MODES as readonly string[]).includes(target.mode))
      throw new TailraceError("destination.config", `Kafka: mode \`${target.mode}\` is not possible`);
    const topic = this.#topicOf(target);
    const messages = new Messages(topic, target, optionsSchema.parse(target.options));
    return new KafkaWriter(this.#producers, topic, messages);
  }

  #topicOf({ object, sync }: Target): string {
    return object ?? this.#settings.topic.replaceAll("{sync}", sync);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producers[Symbol.asyncDispose]();
  }
}

/** Certificates are read for each producer: a renewed one is taken without a restart. @throws TailraceError `config.invalid` */
function connectionOf(
  { brokers, tls, sasl, timeout_ms: timeoutMs }: KafkaSettings,
  password: Secret | null,
  baseDirectory: string,
): () => Connect {
  const pem = (name: string, value: string | undefined): string | undefined => {
    if (value === undefined || value.includes("-----BEGIN")) return value;
    try {
      return readFileSync(resolve(baseDirectory, value), "utf8");
    } catch (error) {
      throw new TailraceError("config.invalid", `\`tls.${name}\`: the file cannot be read`, { cause: error });
    }
  };
  // An address cannot be asked for by name (SNI); its certificate is verified all the same.
  const named = brokers.every((broker) => isIP(broker.replace(/:\d+$/, "").replaceAll(/[[\]]/g, "")) === 0);
  return () => ({
    bootstrapBrokers: [...brokers],
    connectTimeout: Math.min(timeoutMs, 10_000),
    requestTimeout: timeoutMs,
    ...(tls === true && { tls: {}, tlsServerName: named }),
    ...(typeof tls === "object" && {
      tls: { ca: pem("ca", tls.ca), cert: pem("cert", tls.cert), key: pem("key", tls.key) },
      tlsServerName: named,
    }),
    ...(sasl !== undefined &&
      password !== null && {
        sasl: {
          mechanism: sasl.mechanism.toUpperCase() as "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512",
          username: sasl.user,
          password: () => password.value(),
        },
      }),
  });
}
