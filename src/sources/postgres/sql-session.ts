import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import { bytesRead, destroy, isCut } from "../../kit/postgres/socket.ts";
import { close } from "./connection.ts";
import { asSourceError } from "./source-error.ts";

/** Nothing that is asked here takes so long without a byte: the connection is dead and does not know it. */
const SILENT_AFTER_MS = 120_000;
/** After so long without a byte the server is asked, over another connection, whether it is still at work. */
const ASK_AFTER_MS = 20_000;
/** An answer that the server has given by then has come, or never will. */
const ANSWER_COMES_WITHIN_MS = 1000;

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
  readonly #askAfterMs: number;

  constructor(
    open: (signal: AbortSignal) => Promise<pg.Client>,
    silentAfterMs = SILENT_AFTER_MS,
    askAfterMs = ASK_AFTER_MS,
  ) {
    this.#open = open;
    this.#silentAfterMs = silentAfterMs;
    this.#askAfterMs = askAfterMs;
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
    let askedAtMs = readAtMs;
    const giveUp = (): void => {
      silent = true;
      destroy(client);
    };
    const watch = setInterval(
      () => {
        const nowMs = Date.now();
        const now = bytesRead(client);
        if (now !== read) {
          read = now;
          readAtMs = askedAtMs = nowMs;
        } else if (nowMs - readAtMs >= silentAfterMs) giveUp();
        else if (nowMs - askedAtMs >= this.#askAfterMs) {
          askedAtMs = nowMs;
          const ask = async (): Promise<void> => {
            if ((await this.#isDead(client, signal)) && bytesRead(client) === read) giveUp();
          };
          void ask();
        }
      },
      Math.min(silentAfterMs, this.#askAfterMs) / 4,
    );
    watch.unref();
    try {
      return await work(client);
    } catch (error) {
      this.#forget(client);
      destroy(client);
      signal.throwIfAborted();
      if (silent)
        throw new TailraceError("source.silent", `no byte came for ${Math.round((Date.now() - readAtMs) / 1000)} s`);
      throw asSourceError(error);
    } finally {
      clearInterval(watch);
      signal.removeEventListener("abort", cut);
    }
  }

  /** Whether we wait for an answer to a statement that the server is not at work on. */
  async #isDead(client: pg.Client, signal: AbortSignal): Promise<boolean> {
    // Between two statements nobody waits for the server.
    const { processID: pid, readyForQuery: idle } = client as unknown as { processID: number; readyForQuery: boolean };
    if (idle) return false;
    try {
      const other = await this.#open(AbortSignal.any([signal, AbortSignal.timeout(this.#askAfterMs)]));
      try {
        const { rows } = await other.query<{ works: string }>(
          "SELECT coalesce(bool_or(state = 'active' AND wait_event IS DISTINCT FROM 'ClientWrite'), false)::text AS works FROM pg_stat_activity WHERE pid = $1",
          [pid],
        );
        if (rows[0]!.works === "true") return false;
      } finally {
        await close(other);
      }
      await delay(ANSWER_COMES_WITHIN_MS, undefined, { signal });
      return true;
    } catch {
      // It cannot be asked now.
      return false;
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
