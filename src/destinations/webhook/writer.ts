import { createHash } from "node:crypto";
import { DELIVERED } from "../../contracts/destination.ts";
import type { Delivery, Outcome, Writer } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { EnvelopeWriter } from "../../kit/envelope.ts";
import type { HttpAnswer, HttpClient } from "../../kit/http/client.ts";
import type { AnswerRules } from "./answers.ts";
import { answerText } from "../../kit/answer-text.ts";
import { BodyBuffer } from "./body-buffer.ts";
import type { PlannedRequest, RequestPlan } from "./request-plan.ts";
import { rowOutcomes } from "./row-results.ts";
import type { WebhookSettings } from "./settings.ts";
import { signatureHeader } from "../../kit/http/signature.ts";
import type { SigningSecret } from "../../kit/http/signature.ts";
import type { SecretHeaders } from "./secret-headers.ts";

export interface WebhookWriterParts {
  readonly sync: string;
  readonly client: HttpClient;
  readonly plan: RequestPlan;
  readonly rules: AnswerRules;
  readonly settings: WebhookSettings;
  readonly payload: "envelope" | "record";
  readonly secrets: readonly SigningSecret[];
  /** null: none of the headers is kept elsewhere. */
  readonly secretHeaders: SecretHeaders | null;
}

export class WebhookWriter implements Writer {
  readonly #parts: WebhookWriterParts;
  readonly #envelope: EnvelopeWriter;
  readonly #body = new BodyBuffer();

  constructor(parts: WebhookWriterParts) {
    this.#parts = parts;
    this.#envelope = new EnvelopeWriter(parts.sync);
  }

  async write(batch: readonly Delivery[], signal: AbortSignal): Promise<readonly Outcome[]> {
    if (this.#parts.settings.batch.format !== "single") return await this.#writeBatch(batch, signal);
    const [only] = batch;
    if (batch.length === 1 && only !== undefined) return [await this.#writeRow(only, signal)];
    const outcomes: Outcome[] = [];
    for (const delivery of batch) {
      try {
        outcomes.push(await this.#writeRow(delivery, signal));
      } catch (error) {
        // Rows before this one are delivered: a throw would send them again.
        if (outcomes.length === 0 || signal.aborted) throw error;
        const failed = TailraceError.from(error);
        while (outcomes.length < batch.length) {
          outcomes.push({ status: "retry", error: failed, afterMs: failed.afterMs });
        }
        break;
      }
    }
    return outcomes;
  }

  async #writeRow(delivery: Delivery, signal: AbortSignal): Promise<Outcome> {
    const { plan, rules, settings } = this.#parts;
    let planned: PlannedRequest;
    try {
      planned = plan.request(delivery);
    } catch (error) {
      return rowFailed(error);
    }
    const [request, secret] = await this.#withSecrets(planned);
    const body = Buffer.from(this.#json(delivery));
    let answer: HttpAnswer;
    try {
      answer = await this.#send(request, body, delivery.id, [delivery], signal);
    } catch (error) {
      // A host that is made from the row is the row's own trouble, not the destination's.
      if (!plan.hostPerRow || signal.aborted || !(error instanceof TailraceError)) throw error;
      if (error.code === "destination.blocked_address") return { status: "rejected", error };
      return { status: "retry", error };
    }
    const failure = rules.judge(answer, plan.hostPerRow ? "The row's host" : request.origin);
    if (failure === null) {
      if (settings.answers.rows === undefined) return DELIVERED;
      return rowOutcomes(settings.answers.rows, answer, [delivery], settings.keep_answers)[0] ?? DELIVERED;
    }
    if (failure.consequence !== "row-permanent") throw await this.#seen(failure, secret);
    const sent = [request.path, ...Object.values(request.headers)];
    const kept = answerText(answer.body, [delivery], sent, settings.keep_answers);
    return rejectedFor(failure, body.length, kept);
  }

  async #writeBatch(batch: readonly Delivery[], signal: AbortSignal): Promise<readonly Outcome[]> {
    const { plan, rules, settings } = this.#parts;
    const [first] = batch;
    if (first === undefined) return [];
    const [request, secret] = await this.#withSecrets(plan.request(first));
    const body = this.#batchBody(batch);
    const answer = await this.#send(request, body, batchId(batch), batch, signal);
    const failure = rules.judge(answer, request.origin);
    if (failure !== null) {
      if (batch.length > 1 || failure.consequence !== "row-permanent") throw await this.#seen(failure, secret);
      const kept = answerText(answer.body, batch, Object.values(request.headers), settings.keep_answers);
      return [rejectedFor(failure, body.length, kept)];
    }
    if (settings.answers.rows === undefined) return batch.map(() => DELIVERED);
    return rowOutcomes(settings.answers.rows, answer, batch, settings.keep_answers);
  }

  /** With the headers that are kept elsewhere; and those alone, for {@link #seen}. */
  async #withSecrets(request: PlannedRequest): Promise<[PlannedRequest, Readonly<Record<string, string>> | null]> {
    const { secretHeaders } = this.#parts;
    if (secretHeaders === null) return [request, null];
    const secret = await secretHeaders.values();
    return [{ ...request, headers: { ...secret, ...request.headers } }, secret];
  }

  /** What is refused is read anew for the next request. */
  async #seen(failure: TailraceError, secret: Readonly<Record<string, string>> | null): Promise<TailraceError> {
    if (failure.consequence === "auth" && secret !== null) await this.#parts.secretHeaders?.refused(secret);
    return failure;
  }

  #json(delivery: Delivery): string {
    return this.#parts.payload === "envelope" ? this.#envelope.write(delivery) : delivery.record.json();
  }

  #batchBody(batch: readonly Delivery[]): Buffer {
    const lines = this.#parts.settings.batch.format === "ndjson";
    const between = lines ? "\n" : ",";
    const body = this.#body;
    body.clear();
    if (!lines) body.add("[");
    for (let place = 0; place < batch.length; place++) {
      const delivery = batch[place];
      if (delivery !== undefined) body.add((place === 0 ? "" : between) + this.#json(delivery));
    }
    body.add(lines ? "\n" : "]");
    return body.take();
  }

  #send(
    request: PlannedRequest,
    body: Buffer,
    id: string,
    batch: readonly Delivery[],
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    const { client, settings, secrets } = this.#parts;
    const { origin, path, method } = request;
    const bare = method === "GET" || method === "HEAD";
    const sent = bare ? Buffer.alloc(0) : body;
    const timestamp = String(Math.floor(Date.now() / 1000));
    const headers: Record<string, string> = {
      "user-agent": "tailrace",
      accept: "application/json, */*;q=0.5",
      "accept-encoding": "identity",
      ...(bare
        ? {}
        : { "content-type": settings.batch.format === "ndjson" ? "application/x-ndjson" : "application/json" }),
      ...request.headers,
      "webhook-id": id,
      "webhook-timestamp": timestamp,
      "tailrace-attempt": String(batch.reduce((most, { attempt }) => Math.max(most, attempt), 1)),
    };
    const [only] = batch;
    if (settings.batch.format === "single" && only !== undefined) headers["tailrace-op"] = only.op;
    else headers["tailrace-rows"] = String(batch.length);
    if (secrets.length > 0) headers["webhook-signature"] = signatureHeader(secrets, id, timestamp, sent);
    return client.send({ origin, path, method, headers, body: bare ? null : sent }, signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * The same for the same rows in the same order, and for no others: a receiver that drops an id it knows must never drop a
 * batch that only begins alike.
 */
function batchId(batch: readonly Delivery[]): string {
  const hash = createHash("sha256");
  let ids = "";
  for (const { id } of batch) ids += `${id}\n`;
  const digest = hash.update(ids).digest("hex").slice(0, 16);
  return `${batch[0]?.id ?? ""}-${batch.length}-${digest}`;
}

function rejectedFor({ code, message }: TailraceError, bytes: number, answer: string | undefined): Outcome {
  // To a power of two, so that failures for this reason are still one group.
  const kilobytes = 2 ** Math.floor(Math.log2(bytes / 1024));
  const said =
    code === "destination.too_large" && kilobytes >= 1 ? `${message} to a row of more than ${kilobytes} KB` : message;
  return { status: "rejected", error: new TailraceError(code, said, { answer }) };
}

function rowFailed(error: unknown): Outcome {
  if (error instanceof TailraceError && error.consequence === "row-permanent") return { status: "rejected", error };
  throw error;
}
