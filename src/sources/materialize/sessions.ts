import pg from "pg";
import { clientConfig } from "../../kit/postgres/client-config.ts";
import { sqlState } from "../../kit/postgres/errors.ts";
import { destroy, isCut } from "../../kit/postgres/socket.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import { asSourceError } from "./source-error.ts";
import type { Settings } from "./settings.ts";

const CODES = { config: "source.config", tls: "source.tls" } as const;
/** Every answer but that of a long read comes within it: a subscription says something every second. */
const ANSWER_WITHIN_MS = 60_000;

export interface Rows {
  readonly fields: readonly pg.FieldDef[];
  readonly rows: readonly (readonly (string | null)[])[];
}

/** Connections: one for short statements, and one for each cursor. */
export class Sessions implements AsyncDisposable {
  readonly #settings: Settings;
  readonly #baseDirectory: string;
  #shared: Promise<pg.Client> | null = null;

  constructor(settings: Settings, baseDirectory: string) {
    this.#settings = settings;
    this.#baseDirectory = baseDirectory;
  }

  /** A short statement; throws the driver's error. */
  async rows(sql: string, signal: AbortSignal): Promise<Rows> {
    signal.throwIfAborted();
    const client = await unlessAborted(signal, this.#client());
    try {
      return await unlessAborted(signal, query(client, sql));
    } catch (error) {
      // An answer that did not come in time may come to the next statement.
      if (!signal.aborted && sqlState(error) === null) destroy(client);
      throw error;
    }
  }

  /** For a cursor. `patient`: a statement may take any time. Aborting `signal` cuts it as long as it is used. */
  async connect(signal: AbortSignal, patient: boolean): Promise<pg.Client> {
    const { cluster } = this.#settings;
    const client = new pg.Client({
      ...clientConfig(this.#settings, { baseDirectory: this.#baseDirectory, codes: CODES }),
      ...(patient ? {} : { query_timeout: ANSWER_WITHIN_MS }),
    });
    client.on("error", () => {});
    const set = [
      "transaction_isolation = 'strict serializable'",
      "idle_in_transaction_session_timeout = 0",
      ...(cluster === undefined ? [] : [`cluster = ${quoteIdentifier(cluster)}`]),
    ];
    try {
      return await cutBy(signal, client, async () => {
        await client.connect();
        for (const each of set) await client.query(`SET ${each}`);
        return client;
      });
    } catch (error) {
      destroy(client);
      throw signal.aborted ? signal.reason : asSourceError(error, "Materialize");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const client = await this.#shared?.catch(() => null);
    if (client) await close(client);
  }

  /** Several may ask at once; that one of them leaves off is nothing to the others. */
  async #client(): Promise<pg.Client> {
    const shared = (this.#shared ??= this.connect(new AbortController().signal, false));
    try {
      const client = await shared;
      if (!isCut(client)) return client;
    } catch (error) {
      if (this.#shared === shared) this.#shared = null;
      throw error;
    }
    if (this.#shared === shared) this.#shared = null;
    return this.#client();
  }
}

/** Rejects when the signal aborts; the work goes on. */
async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const stop = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** The texts of the wire. */
export async function query(client: pg.Client, sql: string): Promise<Rows> {
  const { fields, rows } = await client.query<(string | null)[]>({ text: sql, rowMode: "array" });
  return { fields, rows };
}

/** Cuts the connection when the signal aborts during `work`. */
export async function cutBy<T>(signal: AbortSignal, client: pg.Client, work: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const stop = (): void => destroy(client);
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await work();
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Never rejects. */
export async function close(client: pg.Client): Promise<void> {
  const timer = setTimeout(() => destroy(client), 1_000);
  await client.end().catch(() => destroy(client));
  clearTimeout(timer);
}
