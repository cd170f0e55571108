import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

/** One delivery that the receiver has accepted. */
export interface Arrival {
  /** `/carts`, `/alerts`. */
  readonly path: string;
  readonly id: string;
  readonly order: number;
  readonly text: string;
  /** From the commit in the source to the receiver's acceptance. */
  readonly latencyMs: number;
  /** Whether this id had been accepted before. */
  readonly repeat: boolean;
}

/**
 * The other side of the demo: a receiver of webhooks, as a business would have one. It fails now and then, as such receivers do: with
 * a 503, and (worse) by taking a delivery and dropping the connection instead of answering.
 */
export class Inbox implements AsyncDisposable {
  readonly #server: Server;
  readonly #failureShare: number;
  readonly #seen = new Set<string>();
  readonly #onArrival: (arrival: Arrival) => void;
  #requests = 0;
  /** Requests that it failed on purpose. */
  failures = 0;

  private constructor(failureShare: number, onArrival: (arrival: Arrival) => void) {
    this.#failureShare = failureShare;
    this.#onArrival = onArrival;
    this.#server = createServer((request, response) => this.#take(request, response));
  }

  static async open(options: { failureShare: number; onArrival: (arrival: Arrival) => void }): Promise<Inbox> {
    const inbox = new Inbox(options.failureShare, options.onArrival);
    await new Promise<void>((resolve) => inbox.#server.listen(0, "127.0.0.1", resolve));
    return inbox;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("not listening");
    return `http://127.0.0.1:${address.port}`;
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => {});
    request.on("end", () => {
      this.#requests += 1;
      const fails = this.#failureShare > 0 && this.#requests % Math.round(1 / this.#failureShare) === 0;
      if (fails) this.failures += 1;
      if (fails && this.failures % 2 === 0) {
        response.writeHead(503).end();
        return;
      }
      this.#accept(request.url ?? "/", Buffer.concat(chunks).toString());
      if (fails) request.socket.destroy();
      else response.writeHead(204).end();
    });
  }

  #accept(path: string, body: string): void {
    const { id, committed_at, record } = JSON.parse(body) as {
      id: string;
      committed_at: string;
      record: { order: number; text: string };
    };
    const repeat = this.#seen.has(id);
    this.#seen.add(id);
    // Only what the view shows is parsed as a number or a date: the delivery itself holds the source's own texts.
    const latencyMs = performance.timeOrigin + performance.now() - Date.parse(committed_at);
    this.#onArrival({ path, id, order: record.order, text: record.text, latencyMs, repeat });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
