// A few connections to the state's database, opened when needed and again when lost.
import pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import { bytesRead, destroy, isCut } from "../../kit/postgres/socket.ts";
import { type Moment, OutcomeUnknown, stateError } from "./state-error.ts";

export type Row = Readonly<Record<string, string | null>>;

export interface SessionsOptions {
  /** Asked for each connection, so that a renewed certificate is taken. */
  readonly config: () => pg.ClientConfig;
  /** `host:port/database`, for messages. */
  readonly where: string;
  readonly most: number;
  /** A connection on which not a byte came for so long is dead, and does not know it. */
  readonly silentAfterMs: number;
}

/** One connection while it is lent out. Its statements reject with the driver's error. */
export class Session {
  readonly #client: pg.Client;
  /** Whether a COMMIT is on its way. */
  committing = false;

  constructor(client: pg.Client) {
    this.#client = client;
  }

  async rows(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    return (await this.#client.query<Row>(text, [...values])).rows;
  }

  /** Several statements in one round trip, without parameters. */
  async run(text: string): Promise<void> {
    await this.#client.query(text);
  }
}

// What is acknowledged is durable whatever the server's default says. A transaction whose client has frozen or is gone
// lets its locks go, so that another machine can take over; and nobody waits for a lock without end.
const BEGIN = `
  BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
  SET LOCAL idle_in_transaction_session_timeout = '4s';
  SET LOCAL lock_timeout = '2s';
  SELECT pg_catalog.set_config('synchronous_commit', 'on', true)
    WHERE pg_catalog.current_setting('synchronous_commit') = 'off'`;

export class Sessions implements AsyncDisposable {
  readonly #options: SessionsOptions;
  readonly #idle: pg.Client[] = [];
  readonly #waiting: (() => void)[] = [];
  #lent = 0;
  #moment: Moment = "opening";
  #closed = false;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** From now on, what is refused is only unavailable; see {@link stateError}. */
  opened(): void {
    this.#moment = "running";
  }

  /** Statements that may be repeated, each for itself: a connection that proves dead is replaced once. */
  async read<T>(work: (session: Session) => Promise<T>): Promise<T> {
    try {
      return await this.#use(work);
    } catch (error) {
      if (this.#closed || !(error instanceof TailraceError) || error.code !== "state.unavailable") throw error;
      return this.#use(work);
    }
  }

  /** All of `work`'s reads from one snapshot. */
  readTogether<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.read(async (session) => {
      await session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
      const result = await work(session);
      await session.run("COMMIT");
      return result;
    });
  }

  /** One statement that writes. It may have happened when it rejects. */
  once(text: string, values: readonly unknown[]): Promise<Row[]> {
    return this.#use((session) => session.rows(text, values));
  }

  /**
   * All of `work`'s writes or none, durable when it resolves. Rejects with {@link OutcomeUnknown} when the commit may have
   * happened; with anything else it has not. `work` returns null to roll back.
   */
  write<T>(work: (session: Session) => Promise<T | null>): Promise<T | null> {
    return this.#use(async (session) => {
      await session.run(BEGIN);
      const result = await work(session);
      if (result === null) {
        await session.run("ROLLBACK");
        return null;
      }
      session.committing = true;
      await session.run("COMMIT");
      session.committing = false;
      return result;
    });
  }

  /** As {@link write}, where it does not matter which of the two it was: an unknown outcome is `state.unavailable`. */
  async writeOrFail(work: (session: Session) => Promise<void>): Promise<void> {
    try {
      await this.write(async (session) => {
        await work(session);
        return true;
      });
    } catch (error) {
      throw error instanceof OutcomeUnknown ? error.failure : error;
    }
  }

  async #use<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const { where } = this.#options;
    await this.#turn();
    let client: pg.Client | null = null;
    let session: Session | null = null;
    try {
      client = await this.#client();
      session = new Session(client);
      const stop = this.#watch(client);
      try {
        const result = await work(session);
        this.#keep(client);
        return result;
      } finally {
        stop();
      }
    } catch (error) {
      if (client !== null) destroy(client);
      const failure = stateError(error, where, this.#moment);
      throw session?.committing === true ? new OutcomeUnknown(failure) : failure;
    } finally {
      this.#lent -= 1;
      this.#waiting.shift()?.();
    }
  }

  async #turn(): Promise<void> {
    while (this.#lent >= this.#options.most) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#closed) throw new TailraceError("internal.defect", "the state is closed");
    this.#lent += 1;
  }

  async #client(): Promise<pg.Client> {
    for (let known = this.#idle.pop(); known !== undefined; known = this.#idle.pop()) {
      if (isCut(known)) continue;
      referenced(known).ref();
      return known;
    }
    const client = new pg.Client({
      ...this.#options.config(),
      connectionTimeoutMillis: this.#options.silentAfterMs,
    });
    // Without a listener a connection that dies between two statements would end the process.
    client.on("error", () => destroy(client));
    try {
      await client.connect();
    } catch (error) {
      destroy(client);
      throw error;
    }
    return client;
  }

  /** An idle connection does not keep the process alive. */
  #keep(client: pg.Client): void {
    if (this.#closed) destroy(client);
    else {
      referenced(client).unref();
      this.#idle.push(client);
    }
  }

  #watch(client: pg.Client): () => void {
    const { silentAfterMs } = this.#options;
    let read = bytesRead(client);
    let readAtMs = performance.now();
    const timer = setInterval(() => {
      const now = bytesRead(client);
      if (now !== read) {
        read = now;
        readAtMs = performance.now();
      } else if (performance.now() - readAtMs >= silentAfterMs) destroy(client);
    }, silentAfterMs / 8);
    timer.unref();
    return () => clearInterval(timer);
  }

  /** Cuts what is still under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const resolve of this.#waiting.splice(0)) resolve();
    await Promise.all(this.#idle.splice(0).map((client) => goodbye(client)));
  }
}

/** The driver has these two; its types do not. */
function referenced(client: pg.Client): { ref(): void; unref(): void } {
  return client as unknown as { ref(): void; unref(): void };
}

async function goodbye(client: pg.Client): Promise<void> {
  const timer = setTimeout(() => destroy(client), 1_000);
  referenced(client).ref();
  try {
    await client.end();
  } catch {
    destroy(client);
  } finally {
    clearTimeout(timer);
  }
}
