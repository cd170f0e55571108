// The socket of a reading. The driver opens it (TLS, authentication, settings); then we take it over, because its
// packets, one by one and without a pause, are not how a log is read.
import type { Socket } from "node:net";
import { TailraceError } from "../../contracts/errors.ts";
import type { Connection } from "./connection.ts";

export interface StreamOptions {
  /** While the reader waits: no byte for so long ends the stream. The server was asked to say something more often. */
  readonly silentAfterMs: number;
}

interface Waiter {
  resolve(chunk: Buffer | null): void;
  reject(error: Error): void;
}

/** Chunks that may wait while the reader is busy; then the socket is paused and the server has to wait. */
const MAX_WAITING_CHUNKS = 2;

export class BinlogStream {
  readonly #socket: Socket;
  readonly #options: StreamOptions;
  readonly #chunks: Buffer[] = [];
  readonly #timer: NodeJS.Timeout;
  #waiter: Waiter | null = null;
  #waiterTimer: NodeJS.Timeout | null = null;
  #waitingSinceMs = 0;
  #error: Error | null = null;
  #endedWith: Error | null = null;
  #paused = false;
  #lastByteAtMs = Date.now();

  /** `connection`: idle. It belongs to the stream from here on. `commands`: what makes the server send its log. */
  constructor(connection: Connection, commands: readonly Buffer[], options: StreamOptions) {
    this.#options = options;
    const socket = connection.takeSocket();
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#received(chunk));
    socket.on("error", (error) => this.#ended(error.message, error));
    socket.on("close", () => this.#ended("the connection was closed"));
    socket.on("end", () => this.#ended("the server ended the connection"));
    for (const command of commands) socket.write(command);
    this.#timer = setInterval(() => this.#tick(), Math.max(50, options.silentAfterMs / 4));
  }

  /** ms since the epoch when a byte last came; now, while some wait unread because nobody asks for them. */
  get lastByteAtMs(): number {
    return this.#paused && this.#chunks.length > 0 ? Date.now() : this.#lastByteAtMs;
  }

  /** Ends the stream: a pending and every later {@link next} throws `error`. The first error stays. */
  fail(error: Error): void {
    if (this.#error) return;
    this.#error = error;
    clearInterval(this.#timer);
    this.#chunks.length = 0;
    this.#takeWaiter()?.reject(error);
  }

  /** The other side went away: what it said before, such as the reason, is still read. */
  #ended(message: string, cause?: Error): void {
    const error = new TailraceError("source.unreachable", message, { cause });
    clearInterval(this.#timer);
    if (this.#chunks.length > 0) this.#endedWith ??= error;
    else this.fail(this.#endedWith ?? error);
  }

  /** The next bytes; null when none came within `withinMs` (0: waits on). One caller at a time. */
  next(withinMs = 0): Buffer | Promise<Buffer | null> {
    const chunk = this.#chunks.shift();
    if (chunk) return chunk;
    if (this.#endedWith) this.fail(this.#endedWith);
    return new Promise((resolve, reject) => {
      if (this.#error) {
        reject(this.#error);
        return;
      }
      this.#waiter = { resolve, reject };
      // Bytes that were left unread while nobody asked are no silence.
      this.#waitingSinceMs = Date.now();
      if (withinMs > 0) {
        this.#waiterTimer = setTimeout(() => {
          this.#waiter = null;
          resolve(null);
        }, withinMs);
      }
      if (!this.#paused) return;
      this.#paused = false;
      this.#socket.resume();
    });
  }

  #takeWaiter(): Waiter | null {
    const waiter = this.#waiter;
    this.#waiter = null;
    if (this.#waiterTimer) {
      clearTimeout(this.#waiterTimer);
      this.#waiterTimer = null;
    }
    return waiter;
  }

  #received(chunk: Buffer): void {
    this.#lastByteAtMs = Date.now();
    if (this.#error) return;
    const waiter = this.#takeWaiter();
    if (waiter) {
      waiter.resolve(chunk);
      return;
    }
    this.#chunks.push(chunk);
    if (this.#chunks.length < MAX_WAITING_CHUNKS || this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
  }

  #tick(): void {
    if (!this.#waiter) return;
    const silentMs = Date.now() - Math.max(this.#lastByteAtMs, this.#waitingSinceMs);
    if (silentMs < this.#options.silentAfterMs) return;
    this.fail(
      new TailraceError("source.silent", `no byte came for ${Math.round(silentMs / 1000)} s, not even a heartbeat`),
    );
    this.#socket.destroy();
  }

  /**
   * Cuts the connection. The server's thread listens to nobody while it sends its log: it ends with the next thing that it
   * has to say, at the latest a heartbeat, or when our next reading begins.
   */
  async close(): Promise<void> {
    this.fail(new TailraceError("source.unreachable", "the stream was closed"));
    if (this.#socket.destroyed) return;
    const closed = new Promise<void>((resolve) => this.#socket.once("close", () => resolve()));
    this.#socket.destroy();
    await closed;
  }
}
