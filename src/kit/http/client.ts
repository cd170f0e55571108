import { Agent } from "undici";
import type { Dispatcher } from "undici";
import { TailraceError } from "../../contracts/errors.ts";
import { failpoint } from "../../contracts/failpoint.ts";
import { lastLook } from "../../contracts/last-look.ts";
import type { AddressGuard } from "../address-guard.ts";
import { guardedConnector } from "./connector.ts";
import type { TlsOptions } from "./connector.ts";
import { requestFailure } from "./failure.ts";

export interface HttpClientOptions {
  readonly guard: AddressGuard;
  /** Connections to one origin at most. */
  readonly connections: number;
  /** From asking to the answer's last byte, connecting and waiting for a connection included. Default 30 s. */
  readonly timeoutMs?: number;
  /** An answer's body beyond this is not read: {@link HttpAnswer.truncated}. Default 256 KB. */
  readonly answerBytes?: number;
  /** Default 16 KB. */
  readonly answerHeaderBytes?: number;
  /**
   * How long an idle connection is kept for the next request. Below what servers and proxies use (5 s and more), so that
   * a request seldom meets a connection that is being closed; a `Keep-Alive` hint of the server replaces it. Default 4 s.
   */
  readonly keepAliveMs?: number;
  /** Asked for each connection; connections are made anew with what has changed. */
  readonly tls?: () => TlsOptions;
  /** The host may be made of a row's value: error messages do not name it. */
  readonly hostIsPrivate?: boolean;
}

export interface HttpRequest {
  readonly method: string;
  /** `https://host:port`, as {@link URL.origin} writes it. */
  readonly origin: string;
  /** Path and query, beginning with `/`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
}

export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case; repeated ones joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** As UTF-8, never decompressed. */
  readonly body: string;
  /** The body was longer than the cap, and the rest was not read. */
  readonly truncated: boolean;
}

/**
 * HTTP for connectors: no redirects, no retries, no decompression, bounded in time and bytes, and only to addresses
 * that the guard permits.
 */
export class HttpClient implements AsyncDisposable {
  readonly #agent: Agent;
  readonly #options: HttpClientOptions;

  constructor(options: HttpClientOptions) {
    const timeoutMs = options.timeoutMs ?? 30_000;
    this.#options = options;
    this.#agent = new Agent({
      connect: guardedConnector(options.guard, options.tls ?? (() => NO_TLS_OPTIONS), Math.min(timeoutMs, 10_000)),
      connections: options.connections,
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: options.keepAliveMs ?? 4000,
      maxHeaderSize: options.answerHeaderBytes ?? 16_384,
      // The deadline of the whole exchange is ours.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /**
   * One request, sent at most once.
   *
   * @throws TailraceError `destination.unreachable` when nothing was sent; `destination.unknown` when the request was on
   * its way and no complete answer came, `destination.timeout` when that was for the time; `destination.blocked_address`;
   * `destination.config` when the request cannot be written. Throws `signal.reason` when aborted; the signal is asked once more
   * when the request has its connection, after a {@link lastLook}.
   */
  send(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const exchange = new Exchange(request, this.#options, signal, resolve, reject);
      try {
        this.#agent.dispatch(
          {
            origin: request.origin,
            path: request.path,
            method: request.method,
            headers: request.headers,
            body: request.body,
            idempotent: false,
          },
          exchange,
        );
      } catch (error) {
        exchange.fail(error);
      }
    });
  }

  /** Ends every connection; an answer that is still awaited becomes `destination.unknown`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }
}

const NO_TLS_OPTIONS: TlsOptions = {};

type Controller = Dispatcher.DispatchController;

class Exchange implements Dispatcher.DispatchHandler {
  readonly #where: string;
  readonly #showCause: boolean;
  readonly #answerBytes: number;
  readonly #signal: AbortSignal;
  readonly #resolve: (answer: HttpAnswer) => void;
  readonly #reject: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #onAbort: () => void;
  #controller: Controller | null = null;
  #settled = false;
  #status = 0;
  #headers: Record<string, string> = {};
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(
    request: HttpRequest,
    options: HttpClientOptions,
    signal: AbortSignal,
    resolve: (answer: HttpAnswer) => void,
    reject: (error: unknown) => void,
  ) {
    const timeoutMs = options.timeoutMs ?? 30_000;
    this.#where = options.hostIsPrivate === true ? "The row's host" : request.origin;
    this.#showCause = options.hostIsPrivate !== true;
    this.#answerBytes = options.answerBytes ?? 262_144;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#timer = setTimeout(() => {
      const after = `within ${timeoutMs} ms`;
      this.#abandon(
        this.#controller === null
          ? new TailraceError("destination.unreachable", `${this.#where}: no connection ${after}`)
          : new TailraceError("destination.timeout", `${this.#where}: no complete answer ${after}`),
      );
    }, timeoutMs);
    this.#onAbort = () => this.#abandon(signal.reason);
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  onRequestStart(controller: Controller): void {
    lastLook();
    // Given up while it waited for a connection; or undici would send it a second time.
    if (this.#settled || this.#controller !== null) {
      controller.abort(new Error("abandoned"));
      this.fail(Object.assign(new Error("sent already"), { code: "UND_ERR_SOCKET" }));
      return;
    }
    this.#controller = controller;
  }

  onRequestSent(): void {
    failpoint("request-sent");
  }

  onResponseStart(_: Controller, status: number, headers: Record<string, string | string[] | undefined>): void {
    if (status < 200) return;
    this.#status = status;
    for (const [name, value] of Object.entries(headers)) {
      if (value !== undefined) this.#headers[name] = Array.isArray(value) ? value.join(", ") : value;
    }
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    const room = this.#answerBytes - this.#bytes;
    // A copy of what is kept, so that it does not hold the whole of the reader's buffer.
    if (room > 0) this.#chunks.push(Buffer.from(chunk.subarray(0, room)));
    this.#bytes += chunk.length;
    if (chunk.length <= room) return;
    this.#answer(true);
    controller.abort(new Error("the answer is too long"));
  }

  onResponseEnd(): void {
    this.#answer(false);
  }

  onResponseError(_: Controller, error: Error): void {
    this.fail(error);
  }

  onRequestUpgrade(controller: Controller): void {
    controller.abort(new Error("upgrade"));
    this.fail(Object.assign(new Error("upgrade"), { code: "HPE_UPGRADE" }));
  }

  fail(error: unknown): void {
    if (!this.#settle()) return;
    this.#reject(requestFailure(error, this.#controller !== null, this.#where, this.#showCause));
  }

  #answer(truncated: boolean): void {
    if (!this.#settle()) return;
    const body = Buffer.concat(this.#chunks).toString("utf8");
    this.#resolve({ status: this.#status, headers: this.#headers, body, truncated });
  }

  #abandon(reason: unknown): void {
    if (!this.#settle()) return;
    this.#reject(reason);
    this.#controller?.abort(reason instanceof Error ? reason : new Error("aborted"));
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#signal.removeEventListener("abort", this.#onAbort);
    return true;
  }
}
