import { TailraceError } from "../../contracts/errors.ts";
import type { Connection } from "./connection.ts";
import { asSourceError } from "./source-error.ts";

/** Nothing that is asked here takes so long without a byte: the connection is dead and does not know it. */
const SILENT_AFTER_MS = 120_000;

/**
 * One ordinary session, opened when it is needed and again when it was lost, for one user at a time in the order of
 * asking.
 */
export class SqlSession implements AsyncDisposable {
  readonly #open: (signal: AbortSignal) => Promise<Connection>;
  #connection: Connection | null = null;
  #last: Promise<unknown> = Promise.resolve();
  readonly #closing = new AbortController();

  constructor(open: (signal: AbortSignal) => Promise<Connection>) {
    this.#open = open;
  }

  /**
   * Runs `work` when the session is free. Throws what `work` throws, as a TailraceError; the session is then closed, so
   * that nothing of a broken transaction is left. When `signal` aborts, the connection is cut and its reason thrown.
   */
  use<T>(signal: AbortSignal, work: (connection: Connection) => Promise<T>): Promise<T> {
    const turn = this.#last.then(() => this.#run(AbortSignal.any([signal, this.#closing.signal]), work));
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #run<T>(signal: AbortSignal, work: (connection: Connection) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const connection = await this.#connected(signal);
    const cut = () => connection.destroy();
    signal.addEventListener("abort", cut, { once: true });
    let silent = false;
    let read = connection.bytesRead;
    let readAtMs = Date.now();
    const watch = setInterval(() => {
      if (connection.bytesRead !== read) {
        read = connection.bytesRead;
        readAtMs = Date.now();
      } else if (Date.now() - readAtMs >= SILENT_AFTER_MS) {
        silent = true;
        connection.destroy();
      }
    }, SILENT_AFTER_MS / 4);
    watch.unref();
    try {
      return await work(connection);
    } catch (error) {
      this.#forget(connection);
      connection.destroy();
      signal.throwIfAborted();
      if (silent) throw new TailraceError("source.silent", `no byte came for ${SILENT_AFTER_MS / 1000} s`);
      throw asSourceError(error);
    } finally {
      clearInterval(watch);
      signal.removeEventListener("abort", cut);
    }
  }

  async #connected(signal: AbortSignal): Promise<Connection> {
    if (this.#connection !== null && !this.#connection.isCut) return this.#connection;
    const connection = await this.#open(signal);
    connection.onLost(() => this.#forget(connection));
    this.#connection = connection;
    return connection;
  }

  /** The connection is known to be dead: what is under way fails, and the next use opens another. */
  cut(): void {
    const connection = this.#connection;
    this.#connection = null;
    connection?.destroy();
  }

  #forget(connection: Connection): void {
    if (this.#connection === connection) this.#connection = null;
  }

  /** Cuts short what is under way, and closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new TailraceError("source.unreachable", "the session was closed"));
    await this.#last;
    const connection = this.#connection;
    this.#connection = null;
    await connection?.close();
  }
}
