import type pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import { bytesRead, destroy, isCut } from "../../kit/postgres/socket.ts";
import { close } from "./connection.ts";
import { asSourceError } from "./source-error.ts";

/** Nothing that is asked here takes so long without a byte: the connection is dead and does not know it. */
const SILENT_AFTER_MS = 120_000;

/**
 * One ordinary session, opened when it is needed and again when it was lost, for one user at a time in the order of
 * asking.
 */
export class SqlSession implements AsyncDisposable {
  readonly #open: (signal: AbortSignal) => Promise<pg.Client>;
  #client: pg.Client | null = null;
  #last: Promise<unknown> = Promise.resolve();
  readonly #closing = new AbortController();
  readonly #silentAfterMs: number;

  constructor(open: (signal: AbortSignal) => Promise<pg.Client>, silentAfterMs = SILENT_AFTER_MS) {
    this.#open = open;
    this.#silentAfterMs = silentAfterMs;
  }

  /**
   * Runs `work` when the session is free. Throws what `work` throws, as a TailraceError; the session is then closed, so
   * that nothing of a broken transaction is left. When `signal` aborts, the connection is cut and its reason thrown; when no byte
   * comes for `silentAfterMs`, `source.silent`.
   */
  use<T>(
    signal: AbortSignal,
    work: (client: pg.Client) => Promise<T>,
    silentAfterMs = this.#silentAfterMs,
  ): Promise<T> {
    const turn = this.#last.then(() => this.#run(AbortSignal.any([signal, this.#closing.signal]), work, silentAfterMs));
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #run<T>(signal: AbortSignal, work: (client: pg.Client) => Promise<T>, silentAfterMs: number): Promise<T> {
    signal.throwIfAborted();
    const client = await this.#connected(signal);
    const cut = () => destroy(client);
    signal.addEventListener("abort", cut, { once: true });
    let silent = false;
    let read = bytesRead(client);
    let readAtMs = Date.now();
    const watch = setInterval(() => {
      const now = bytesRead(client);
      if (now !== read) {
        read = now;
        readAtMs = Date.now();
      } else if (Date.now() - readAtMs >= silentAfterMs) {
        silent = true;
        destroy(client);
      }
    }, silentAfterMs / 4);
    watch.unref();
    try {
      return await work(client);
    } catch (error) {
      this.#forget(client);
      destroy(client);
      signal.throwIfAborted();
      if (silent) throw new TailraceError("source.silent", `no byte came for ${silentAfterMs / 1000} s`);
      throw asSourceError(error);
    } finally {
      clearInterval(watch);
      signal.removeEventListener("abort", cut);
    }
  }

  async #connected(signal: AbortSignal): Promise<pg.Client> {
    if (this.#client && !isCut(this.#client)) return this.#client;
    const client = await this.#open(signal);
    client.on("error", () => this.#forget(client));
    client.on("end", () => this.#forget(client));
    this.#client = client;
    return client;
  }

  /** The connection is known to be dead: what is under way fails, and the next use opens another. */
  cut(): void {
    const client = this.#client;
    this.#client = null;
    if (client) destroy(client);
  }

  #forget(client: pg.Client): void {
    if (this.#client === client) this.#client = null;
  }

  /** Cuts short what is under way, and closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new TailraceError("source.unreachable", "the session was closed"));
    await this.#last;
    const client = this.#client;
    this.#client = null;
    if (client) await close(client);
  }
}
