import { TailraceError } from "../../../contracts/errors.ts";
import { AddressGuard } from "../../../kit/address-guard.ts";
import { HttpClient } from "../../../kit/http/client.ts";
import { retryAfterMs } from "../../../kit/http/retry-after.ts";
import { parseSecret, signatureHeader, type SigningSecret } from "../../../kit/http/signature.ts";
import type { AlertInput } from "../../config/alert-schema.ts";
import { jsonOf, type Message } from "../message.ts";
import { slackText } from "../slack.ts";
import type { Hook } from "./hook.ts";

/** POSTs JSON to a URL, whose path may be a secret. */
class Poster implements AsyncDisposable {
  readonly #origin: string;
  readonly #path: string;
  readonly #client: HttpClient;

  constructor({ url, allow_private }: AlertInput, timeoutMs: number) {
    const { origin, pathname, search } = new URL(url ?? "");
    this.#origin = origin;
    this.#path = `${pathname}${search}`;
    this.#client = new HttpClient({
      guard: new AddressGuard(allow_private),
      connections: 1,
      timeoutMs,
      answerBytes: 1024,
    });
  }

  async post(body: Buffer, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void> {
    const answer = await this.#client.send(
      {
        method: "POST",
        origin: this.#origin,
        path: this.#path,
        headers: {
          "content-type": "application/json",
          "user-agent": "tailrace",
          "accept-encoding": "identity",
          ...headers,
        },
        body,
      },
      signal,
    );
    if (answer.status >= 200 && answer.status < 300) return;
    const afterMs = retryAfterMs(answer.headers["retry-after"]);
    throw new TailraceError("destination.unavailable", `${this.#origin} answered ${answer.status}`, { afterMs });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#client[Symbol.asyncDispose]();
  }
}

/** By Standard Webhooks: `webhook-id` is the same for every try. */
export class WebhookHook implements Hook {
  readonly #poster: Poster;
  readonly #secret: SigningSecret | null;

  constructor(settings: AlertInput, timeoutMs: number) {
    this.#poster = new Poster(settings, timeoutMs);
    this.#secret = settings.secret === undefined ? null : parseSecret(settings.secret);
  }

  send(message: Message, signal: AbortSignal): Promise<void> {
    const body = Buffer.from(jsonOf(message));
    const timestamp = String(Math.floor(Date.now() / 1000));
    const headers: Record<string, string> = { "webhook-id": message.id, "webhook-timestamp": timestamp };
    if (this.#secret !== null)
      headers["webhook-signature"] = signatureHeader([this.#secret], message.id, timestamp, body);
    return this.#poster.post(body, headers, signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#poster[Symbol.asyncDispose]();
  }
}

export class SlackHook implements Hook {
  readonly #poster: Poster;

  constructor(settings: AlertInput, timeoutMs: number) {
    this.#poster = new Poster(settings, timeoutMs);
  }

  send(message: Message, signal: AbortSignal): Promise<void> {
    return this.#poster.post(Buffer.from(slackText(message)), {}, signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#poster[Symbol.asyncDispose]();
  }
}
