// The socket of a replication stream. `pg` opens it (TLS, authentication, settings); then we take the socket over,
// because one event and one view a row would cost more than reading the row.
import type { Socket } from "node:net";
import pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import { failpoint } from "../../contracts/failpoint.ts";
import { lsnText } from "./position.ts";
import { GOODBYE, queryMessage, statusMessage } from "./wire.ts";

export interface StreamOptions {
  readonly slot: string;
  readonly publication: string;
  readonly from: bigint;
  /** At most this long between two status updates, whatever the reader does. */
  readonly feedbackMs: number;
  /** While the reader waits: no byte for so long ends the stream. */
  readonly silentAfterMs: number;
}

interface Waiter {
  resolve(chunk: Buffer | null): void;
  reject(error: Error): void;
}

/** Chunks that may wait while the reader is busy; then the socket is paused and the server has to wait. */
const MAX_WAITING_CHUNKS = 2;
/**
 * The server sends row by row. When more chunks than this come in a millisecond, the next ones are left to gather for a
 * moment: waking us for every row costs both sides more than the row. (Measured on two cores: 1.8 times the rows a
 * second.) The moment is too short for a timer, so it is spent in turns of the event loop; a reader that has something
 * to do in them does it. Longer, and the kernel's buffer, which counts small packets dearly, would stop the server.
 */
const BURST_CHUNKS = 6;
const GATHER_MS = 0.05;
/** A chunk that is as large as this has gathered enough. */
const FULL_CHUNK_BYTES = 16_384;
/** An acknowledgement that moves by so much is sent at once, not with the next timer. */
const PROMPT_ACK_BYTES = 1_048_576n;
const PING_MS = 10_000;
const GOODBYE_MS = 1000;

export class ReplicationStream {
  readonly #client: pg.Client;
  readonly #socket: Socket;
  readonly #options: StreamOptions;
  readonly #chunks: Buffer[] = [];
  #timer: NodeJS.Timeout | undefined;
  #waiter: Waiter | null = null;
  #waiterTimer: NodeJS.Timeout | null = null;
  #waitingSinceMs = 0;
  #error: Error | null = null;
  #endedWith: Error | null = null;
  #paused = false;
  #gathering: NodeJS.Immediate | null = null;
  #burstMs = 0;
  #burstChunks = 0;
  #lastByteAtMs = Date.now();
  #lastStatusAtMs = 0;
  #lastPingAtMs = 0;
  #written = 0n;
  #flushed = 0n;
  #flushedSent = 0n;
  #statusScheduled = false;

  /** `client`: connected with `replication: "database"`, idle. It belongs to the stream from here on. */
  constructor(client: pg.Client, options: StreamOptions) {
    this.#client = client;
    this.#options = options;
    this.#socket = socketOf(client);
    const socket = this.#socket;
    socket.removeAllListeners("data");
    socket.on("data", (chunk: Buffer) => this.#received(chunk));
    socket.on("error", (error) => this.#ended(error.message, error));
    socket.on("close", () => this.#ended("the replication connection was closed"));
    socket.on("end", () => this.#ended("the server ended the replication connection"));
    const { slot, publication, from } = options;
    socket.write(
      queryMessage(
        `START_REPLICATION SLOT ${pg.escapeIdentifier(slot)} LOGICAL ${lsnText(from)} ` +
          `(proto_version '1', publication_names ${literal(pg.escapeIdentifier(publication))}, messages 'on')`,
      ),
    );
    // The server reads it once the stream has begun; its answer says how far it is.
    this.#status(true);
    const tickMs = Math.max(50, Math.min(options.feedbackMs, options.silentAfterMs / 3, PING_MS));
    this.#timer = setInterval(() => this.#tick(), tickMs);
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

  /** The next bytes of the stream; null when none came within `withinMs` (0: waits on). One caller at a time. */
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
      if (!this.#gathering) this.#resume();
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
    const nowMs = Date.now();
    this.#lastByteAtMs = nowMs;
    if (this.#error) return;
    const waiter = this.#takeWaiter();
    if (waiter) {
      waiter.resolve(chunk);
      this.#gather(chunk.length, nowMs);
      return;
    }
    this.#chunks.push(chunk);
    if (this.#chunks.length >= MAX_WAITING_CHUNKS) this.#pause();
  }

  #gather(bytes: number, nowMs: number): void {
    if (bytes >= FULL_CHUNK_BYTES) return;
    if (nowMs !== this.#burstMs) {
      this.#burstChunks = nowMs - this.#burstMs === 1 ? this.#burstChunks >> 1 : 0;
      this.#burstMs = nowMs;
    }
    this.#burstChunks += 1;
    if (this.#burstChunks < BURST_CHUNKS || this.#gathering) return;
    this.#pause();
    const untilMs = performance.now() + GATHER_MS;
    const again = () => {
      if (performance.now() < untilMs) {
        this.#gathering = setImmediate(again);
        return;
      }
      this.#gathering = null;
      if (this.#chunks.length < MAX_WAITING_CHUNKS) this.#resume();
    };
    this.#gathering = setImmediate(again);
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  /** What we have read. Only ever grows. */
  written(lsn: bigint): void {
    if (lsn > this.#written) this.#written = lsn;
  }

  /** What is stored: the server may forget the log before it. Only ever grows. */
  flushed(lsn: bigint): void {
    if (lsn <= this.#flushed) return;
    this.#flushed = lsn;
    if (lsn > this.#written) this.#written = lsn;
    if (lsn - this.#flushedSent >= PROMPT_ACK_BYTES) this.answerSoon();
  }

  /** A status update in this turn of the event loop; several requests make one. */
  answerSoon(): void {
    if (this.#statusScheduled) return;
    this.#statusScheduled = true;
    setImmediate(() => {
      this.#statusScheduled = false;
      this.#status(false);
    });
  }

  #status(ping: boolean): void {
    // A server that does not read must not make us hoard its updates.
    if (this.#error || this.#socket.writableNeedDrain) return;
    const nowMs = Date.now();
    this.#lastStatusAtMs = nowMs;
    if (ping) this.#lastPingAtMs = nowMs;
    const moved = this.#flushed > this.#flushedSent;
    this.#flushedSent = this.#flushed;
    this.#socket.write(statusMessage(this.#written, this.#flushed, nowMs, ping));
    if (moved) failpoint("position-reported");
  }

  #tick(): void {
    const nowMs = Date.now();
    const { feedbackMs, silentAfterMs } = this.#options;
    if (this.#waiter) {
      const silentMs = nowMs - Math.max(this.#lastByteAtMs, this.#waitingSinceMs);
      if (silentMs >= silentAfterMs) {
        this.fail(
          new TailraceError(
            "source.silent",
            `no byte came for ${Math.round(silentMs / 1000)} s, though an answer was asked for`,
          ),
        );
        this.#socket.destroy();
        return;
      }
    }
    const pingMs = Math.min(PING_MS, silentAfterMs / 3);
    // A little early rather than a whole tick late.
    const slackMs = 20;
    const ping = nowMs - this.#lastPingAtMs >= pingMs - slackMs;
    if (ping || nowMs - this.#lastStatusAtMs >= feedbackMs - slackMs) this.#status(ping);
  }

  /** Reports what is stored, says goodbye and closes. Never throws; takes a second at most. */
  async close(): Promise<void> {
    const socket = this.#socket;
    const broken = this.#error !== null || this.#endedWith !== null || socket.destroyed;
    if (!broken) this.#status(false);
    this.fail(new TailraceError("source.unreachable", "the stream was closed"));
    if (socket.destroyed) return;
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    if (broken) {
      socket.destroy();
    } else {
      // What still arrives is thrown away, so that the server gets to read our goodbye.
      socket.resume();
      socket.end(GOODBYE);
      const timer = setTimeout(() => socket.destroy(), GOODBYE_MS);
      socket.once("close", () => clearTimeout(timer));
    }
    await closed;
  }

  /** The server's process, to recognise it in pg_stat_replication. */
  get backendPid(): number | null {
    return (this.#client as unknown as { processID: number | null }).processID;
  }
}

function socketOf(client: pg.Client): Socket {
  return (client as unknown as { connection: { stream: Socket } }).connection.stream;
}

/** The replication grammar has no E'' strings. */
function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
