// An HTTP server that plays a vendor: it keeps records, answers as the vendor's description says, and fails as a script says.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type Gate, gate } from "../../support/receiver-script.ts";

export interface MockRequest {
  readonly seq: number;
  readonly method: string;
  /** Without the query, decoded part by part: `["crm", "v3", "objects", "contacts"]`. */
  readonly path: readonly string[];
  /** As it was sent, with its query. */
  readonly url: string;
  readonly query: URLSearchParams;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface MockAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON, unless it is a text already. Absent: no body. */
  readonly body?: unknown;
}

/**
 * What happens to a request beside what the vendor does with it.
 *
 * - an answer: instead of what the vendor would do.
 * - `reset-before`: the connection breaks, and nothing is done.
 * - `reset-after`, `truncated`: it is done, and the answer is lost, or cut in the middle.
 * - `hang`: no answer, and nothing is done, until {@link MockVendor.release}; then as usual.
 */
export type Fault = MockAnswer | "reset-before" | "reset-after" | "truncated" | "hang";

export interface MockOptions {
  /** What the vendor does. It may change its records; it is called for one request at a time. */
  answer(request: MockRequest): MockAnswer;
}

export class MockVendor implements AsyncDisposable {
  readonly #options: MockOptions;
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  readonly #sockets = new Set<Socket>();
  readonly #requests: MockRequest[] = [];
  #port = 0;
  #holding: Gate = gate();
  #faults: (request: MockRequest) => Fault | null = () => null;

  private constructor(options: MockOptions) {
    this.#options = options;
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => socket.destroy());
    });
  }

  static async start(options: MockOptions): Promise<MockVendor> {
    const mock = new MockVendor(options);
    await mock.up();
    return mock;
  }

  /** `http://127.0.0.1:PORT` */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** All that arrived whole, in order. */
  get requests(): readonly MockRequest[] {
    return this.#requests;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** For each request from now on; null: none. */
  fail(faults: (request: MockRequest) => Fault | null): void {
    this.#faults = faults;
  }

  /** Lets go of every request that hangs, and of those to come until {@link hold}. */
  release(): void {
    this.#holding.open();
  }

  hold(): void {
    this.#holding = gate();
  }

  /** Stops listening and resets every connection. */
  async down(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await once(this.#server, "close");
  }

  /** Listens, on the same port as before. */
  async up(): Promise<void> {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    if (this.#server.listening) await this.down();
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const request = this.#read(incoming, Buffer.concat(chunks).toString("utf8"));
    this.#requests.push(request);
    const fault = this.#faults(request);
    if (fault === "reset-before") return incoming.socket.resetAndDestroy() as unknown as undefined;
    if (fault === "hang") await this.#holding.opened;
    if (typeof fault === "object" && fault !== null) return write(response, fault);
    const answer = this.#options.answer(request);
    if (fault === "reset-after") return incoming.socket.resetAndDestroy() as unknown as undefined;
    if (fault === "truncated") return writeHalf(response, answer);
    write(response, answer);
  }

  #read(incoming: IncomingMessage, body: string): MockRequest {
    const url = incoming.url ?? "/";
    const { pathname, searchParams } = new URL(url, "http://mock");
    return {
      seq: this.#requests.length,
      method: incoming.method ?? "GET",
      path: pathname.split("/").slice(1).map(decodeURIComponent),
      url,
      query: searchParams,
      headers: Object.fromEntries(
        Object.entries(incoming.headers).map(([name, value]) => [
          name,
          Array.isArray(value) ? value.join(", ") : (value ?? ""),
        ]),
      ),
      body,
    };
  }
}

function bodyOf({ body }: MockAnswer): string {
  return body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body);
}

function write(response: ServerResponse, answer: MockAnswer): void {
  const body = bodyOf(answer);
  response.writeHead(answer.status, {
    ...(body === "" ? {} : { "content-type": "application/json" }),
    "content-length": Buffer.byteLength(body),
    ...answer.headers,
  });
  response.end(body);
}

/** The announced length, and half of it. */
function writeHalf(response: ServerResponse, answer: MockAnswer): void {
  const body = Buffer.from(bodyOf(answer) || "{}");
  response.writeHead(answer.status, { "content-type": "application/json", "content-length": body.length });
  response.write(body.subarray(0, body.length >> 1), () => response.socket?.resetAndDestroy());
}
