import type { Delivery, Outcome, Pace } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { HttpAnswer, HttpClient } from "../http/client.ts";
import type { Authorization } from "./auth/authorization.ts";
import type { Meaning, VendorErrors } from "./errors.ts";

/** A request to the vendor. */
export interface Call {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** With its query, encoded; beginning with `/`. */
  readonly path: string;
  readonly body?: string | Buffer | undefined;
  /** Default, with a body: `application/json`. */
  readonly contentType?: string;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Statuses beside 2xx that are no error of the whole request: 404 for what is to be deleted, 400 with results for each row. */
  readonly accept?: readonly number[];
  /** Where the vendor has several hosts; default: its API's. */
  readonly origin?: string;
}

export class Answer {
  readonly #answer: HttpAnswer;
  #body: { readonly value: unknown } | null = null;

  constructor(answer: HttpAnswer) {
    this.#answer = answer;
  }

  get status(): number {
    return this.#answer.status;
  }

  /** Names in lower case. */
  get headers(): Readonly<Record<string, string>> {
    return this.#answer.headers;
  }

  get text(): string {
    return this.#answer.body;
  }

  /** The body as JSON, parsed once; undefined when it is none. */
  body(): unknown {
    if (this.#body === null) {
      let value: unknown;
      try {
        value = this.#answer.truncated ? undefined : JSON.parse(this.#answer.body);
      } catch {
        value = undefined;
      }
      this.#body = { value };
    }
    return this.#body.value;
  }

  /** The body as a JSON object. @throws TailraceError `destination.unknown`: what became of the rows cannot be read. */
  object(): Readonly<Record<string, unknown>> {
    const body = this.body();
    if (typeof body === "object" && body !== null && !Array.isArray(body)) return body as Record<string, unknown>;
    throw this.#unreadable("a JSON object");
  }

  /** The body as a JSON array. @throws TailraceError `destination.unknown` */
  list(): readonly unknown[] {
    const body = this.body();
    if (Array.isArray(body)) return body;
    throw this.#unreadable("a JSON array");
  }

  #unreadable(what: string): TailraceError {
    const cut = this.#answer.truncated ? ", but longer than what is read" : "";
    return new TailraceError("destination.unknown", `The answer (${this.#answer.status}) is not ${what}${cut}`);
  }
}

/** What a vendor's requests are made with; one for each destination. */
export interface Connection {
  readonly client: HttpClient;
  readonly authorization: Authorization;
  readonly errors: VendorErrors;
  readonly base: { readonly origin: string; readonly path: string };
  /** The user has set `base_url`: it is also where requests go that the token's answer would send elsewhere. */
  readonly baseIsSet: boolean;
  readonly headers: Readonly<Record<string, string>>;
}

/** One write, or one check, at the vendor. */
export class Session {
  readonly signal: AbortSignal;
  readonly pace: Pace;
  readonly #connection: Connection;
  readonly #rows: readonly Delivery[];
  #requests = 0;

  constructor(
    connection: Connection,
    options: {
      readonly signal: AbortSignal;
      readonly pace: Pace;
      readonly rows?: readonly Delivery[];
    },
  ) {
    this.#connection = connection;
    this.signal = options.signal;
    this.pace = options.pace;
    this.#rows = options.rows ?? [];
  }

  /**
   * One request, sent at most once.
   *
   * @throws TailraceError what the vendor's error table makes of the answer; what {@link HttpClient.send} throws.
   */
  async request(call: Call): Promise<Answer> {
    const { client, authorization, errors, base } = this.#connection;
    if (this.#requests > 0) await this.pace.request(this.signal);
    this.#requests += 1;
    const body = call.body === undefined ? null : typeof call.body === "string" ? Buffer.from(call.body) : call.body;
    const plain: Record<string, string> = {
      "user-agent": "tailrace",
      accept: "application/json",
      "accept-encoding": "identity",
      ...(body === null ? {} : { "content-type": call.contentType ?? "application/json" }),
      ...this.#connection.headers,
      ...call.headers,
    };
    const request = { method: call.method, origin: call.origin ?? base.origin, path: base.path + call.path, body };
    const ours = await authorization.headers({ ...request, headers: plain }, this.signal);
    const theirs = this.#connection.baseIsSet ? undefined : authorization.origin;
    const origin = call.origin ?? theirs ?? base.origin;
    const answer = new Answer(await client.send({ ...request, origin, headers: { ...plain, ...ours } }, this.signal));
    const error = errors.judge(answer, this.#rows, call.accept ?? []);
    if (error === null) {
      authorization.accepted?.();
      return answer;
    }
    // A 403 is of what the credentials may do; any other status, a 200 too where the vendor answers so, of the credentials themselves.
    const ofCredentials = answer.status !== 403 || authorization.refusedBy403 === true;
    if (error.code === "destination.auth" && ofCredentials && (await authorization.refused(ours))) {
      throw new TailraceError("destination.unavailable", `${error.message}; the credentials are asked for anew`);
    }
    throw error;
  }

  /** What the vendor's result for one row means; `said` is kept with a dead letter, row values blanked. */
  outcome(row: Delivery, codes: readonly string[], said: string, otherwise?: Meaning): Outcome {
    return this.#connection.errors.outcome(row, codes, said, otherwise);
  }
}
