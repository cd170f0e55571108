import { type ErrorCode, TailraceError } from "../../contracts/errors.ts";

/** Kafka's own names (https://kafka.apache.org/protocol#protocol_error_codes); those that are not here are waited for. */
const BY_NAME: Readonly<Record<string, ErrorCode>> = {
  MESSAGE_TOO_LARGE: "destination.too_large",
  RECORD_LIST_TOO_LARGE: "destination.too_large",
  INVALID_RECORD: "destination.refused",
  SASL_AUTHENTICATION_FAILED: "destination.auth",
  TOPIC_AUTHORIZATION_FAILED: "destination.auth",
  CLUSTER_AUTHORIZATION_FAILED: "destination.auth",
  THROTTLING_QUOTA_EXCEEDED: "destination.throttled",
  UNSUPPORTED_SASL_MECHANISM: "destination.config",
  ILLEGAL_SASL_STATE: "destination.config",
  // Records have the time at which they are sent: a clock is wrong, or the topic wants none of now.
  INVALID_TIMESTAMP: "destination.config",
  INVALID_TOPIC_EXCEPTION: "destination.config",
  INVALID_REQUIRED_ACKS: "destination.config",
  UNSUPPORTED_VERSION: "destination.config",
  UNSUPPORTED_FOR_MESSAGE_FORMAT: "destination.config",
  POLICY_VIOLATION: "destination.config",
  REQUEST_TIMED_OUT: "destination.timeout",
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: "destination.unknown",
};

/** What the client's errors have; those of several brokers, and of several attempts, are one inside the other. */
interface Failure {
  readonly name?: string;
  readonly message?: string;
  /** `PLT_KFK_…`, or the system's: `ECONNREFUSED`. */
  readonly code?: string;
  /** Kafka's own name of the error. */
  readonly apiId?: string;
  readonly response?: { readonly responses?: readonly TopicAnswer[] };
  /** What other brokers took of the same request. */
  readonly produced?: { readonly offsets?: readonly { readonly topic: string; readonly partition: number }[] };
}

interface TopicAnswer {
  readonly name: string;
  readonly partitionResponses: readonly { readonly index: number; readonly errorCode: number }[];
}

/** `sent`: whether records may have been on their way. */
export function faultOf(error: unknown, sent: boolean): TailraceError {
  const all = [...failuresIn(error)];
  const ours = all.find((each) => each instanceof TailraceError);
  if (ours !== undefined) return ours;
  const named = all.findLast(({ apiId }) => apiId !== undefined)?.apiId;
  if (named !== undefined) return faultOfName(named);
  const unknownTopic = all.map(({ message = "" }) => /^Unknown topic ([\w.-]+)\.$/.exec(message)?.[1]).find(Boolean);
  if (unknownTopic !== undefined)
    return new TailraceError("destination.config", `Kafka: there is no topic ${unknownTopic}, or it may not be seen`);
  if (all.some(({ code, message = "" }) => code === "PLT_KFK_USER" && message.startsWith("SASL mechanism")))
    return faultOfName("UNSUPPORTED_SASL_MECHANISM");
  if (all.some(({ message }) => message === "Broker requires TLS."))
    return new TailraceError("destination.config", "Kafka: this broker wants TLS: set `tls: true`");
  const why = all.findLast(({ code }) => code !== undefined && !code.startsWith("PLT_KFK_"))?.code;
  const said = why === undefined ? "" : ` (${why})`;
  if (!sent) return new TailraceError("destination.unreachable", `Kafka: no broker could be connected to${said}`);
  if (all.some(({ message }) => message === "Request timed out"))
    return new TailraceError("destination.timeout", "Kafka: a broker did not answer in time");
  return new TailraceError("destination.unknown", `Kafka: the connection ended before the answer${said}`);
}

export function faultOfName(name: string): TailraceError {
  return new TailraceError(BY_NAME[name] ?? "destination.unavailable", `Kafka answered ${name}`);
}

/** By `topic:partition`: what the brokers said of a request that was not taken whole; null: taken. */
export function answersIn(
  error: unknown,
  nameOf: (code: number) => string | undefined,
): ReadonlyMap<string, TailraceError | null> {
  const answers = new Map<string, TailraceError | null>();
  for (const { response, produced } of failuresIn(error)) {
    for (const { topic, partition } of produced?.offsets ?? []) answers.set(`${topic}:${partition}`, null);
    for (const { name, partitionResponses } of response?.responses ?? []) {
      for (const { index, errorCode } of partitionResponses) {
        const place = `${name}:${index}`;
        // What an earlier attempt had taken stays taken.
        if (answers.get(place) === null) continue;
        answers.set(place, errorCode === 0 ? null : faultOfName(nameOf(errorCode) ?? String(errorCode)));
      }
    }
  }
  return answers;
}

function* failuresIn(error: unknown): Generator<Failure> {
  if (typeof error !== "object" || error === null) return;
  yield error;
  const { errors, cause } = error as { readonly errors?: unknown; readonly cause?: unknown };
  if (Array.isArray(errors)) for (const each of errors) yield* failuresIn(each);
  yield* failuresIn(cause);
}
