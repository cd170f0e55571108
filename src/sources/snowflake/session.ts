// Statements over Snowflake's client library: one session, opened when it is needed and again when it is gone. Every statement that Tailrace
// sends may be sent twice.
import { createPrivateKey } from "node:crypto";
import { TailraceError } from "../../contracts/errors.ts";
import { readSecret, type SecretReference } from "../../kit/secret.ts";
import { type Connection, loadSnowflake, type RowStatement } from "./library.ts";
import { PAGE_ROWS, RowStream, type TextRow } from "./row-stream.ts";
import type { Settings } from "./settings.ts";
import { asSourceError, isSessionLost } from "./source-error.ts";

export type { TextRow };

/** A column of a result, as the server describes it. */
export interface ResultColumn {
  readonly name: string;
  /** `fixed`, `text`, `timestamp_ntz` … */
  readonly type: string;
  readonly precision: number;
  readonly scale: number;
  readonly nullable: boolean;
}

export interface Reply {
  readonly columns: readonly ResultColumn[];
  /** From the row of this number on; pages as they come, bounded in rows by what is at hand. */
  pages(signal: AbortSignal): AsyncGenerator<TextRow[], void, undefined>;
}

export interface StatementOptions {
  /** The model, for errors. */
  readonly what: string;
  readonly binds?: readonly (string | null)[];
  /** Only what columns its result would have: runs nothing. */
  readonly describeOnly?: boolean;
  readonly signal: AbortSignal;
}

/** What is metadata answers within seconds; the library itself would try for hours. */
const WITHIN_MS = 15 * 60_000;
/** An address of a part of a result is good for 6 hours: before that, all are asked for anew. */
export const REFRESH_MS = 3_600_000;
/** Parts of a result of at most 48 MB, the least that can be asked for: two of them are in memory. */
const PARAMETERS = { TIMEZONE: "UTC", QUERY_TAG: "tailrace", STRICT_JSON_OUTPUT: true, CLIENT_RESULT_CHUNK_SIZE: 48 };

export class SnowflakeSession implements AsyncDisposable {
  readonly #settings: Settings;
  readonly #baseDirectory: string;
  readonly #refreshMs: number;
  #connection: Promise<Connection> | null = null;

  constructor(settings: Settings, baseDirectory: string, refreshMs = REFRESH_MS) {
    this.#settings = settings;
    this.#baseDirectory = baseDirectory;
    this.#refreshMs = refreshMs;
  }

  /** All rows of a result that is small. */
  async rows(sql: string, options: StatementOptions): Promise<TextRow[]> {
    const reply = await this.run(sql, options);
    const rows: TextRow[] = [];
    for await (const page of reply.pages(options.signal)) rows.push(...page);
    return rows;
  }

  /** By the names of the columns, in small letters. */
  async records(sql: string, options: StatementOptions): Promise<Record<string, string | null>[]> {
    const reply = await this.run(sql, options);
    const names = reply.columns.map(({ name }) => name.toLowerCase());
    const records: Record<string, string | null>[] = [];
    for await (const page of reply.pages(options.signal))
      for (const row of page) records.push(Object.fromEntries(names.map((name, place) => [name, row[place] ?? null])));
    return records;
  }

  async run(sql: string, options: StatementOptions): Promise<Reply> {
    options.signal.throwIfAborted();
    try {
      const connection = await this.#connected();
      let statement: RowStatement;
      try {
        statement = await this.#execute(connection, sql, options);
      } catch (error) {
        if (!isSessionLost(error)) throw error;
        this.#connection = null;
        statement = await this.#execute(await this.#connected(), sql, options);
      }
      return this.#reply(statement, options.what);
    } catch (error) {
      options.signal.throwIfAborted();
      const ours = asSourceError(error, options.what);
      // What cannot be reached with this connection may be with another.
      if (ours.code === "source.unreachable") this.#connection = null;
      throw ours;
    }
  }

  #connected(): Promise<Connection> {
    if (this.#connection === null) {
      const connecting = this.#connect();
      this.#connection = connecting;
      connecting.catch(() => {
        if (this.#connection === connecting) this.#connection = null;
      });
    }
    return this.#connection;
  }

  async #connect(): Promise<Connection> {
    const snowflake = await loadSnowflake();
    const { account, user, role, warehouse, database, schema, url, private_key, private_key_passphrase } =
      this.#settings;
    const passphrase =
      private_key_passphrase === undefined
        ? undefined
        : await this.#secret(private_key_passphrase, "private_key_passphrase");
    const connection = snowflake.createConnection({
      account,
      username: user,
      authenticator: "SNOWFLAKE_JWT",
      privateKey: keyOf(await this.#secret(private_key, "private_key"), passphrase),
      role,
      warehouse,
      database,
      schema,
      ...(url !== undefined && { accessUrl: url }),
      application: "Tailrace",
      clientSessionKeepAlive: true,
      representNullAsStringNull: false,
      rowMode: "array",
      resultPrefetch: 1,
      rowStreamHighWaterMark: PAGE_ROWS,
      sfRetryMaxLoginRetries: 2,
    });
    // Its promise says nothing of a login that was refused.
    return new Promise((resolve, reject) => {
      void connection.connectAsync((error) => (error ? reject(error) : resolve(connection))).catch(reject);
    });
  }

  #secret(secret: string | SecretReference, name: string): Promise<string> {
    return typeof secret === "string" ? Promise.resolve(secret) : readSecret(secret, name, this.#baseDirectory);
  }

  #execute(connection: Connection, sql: string, options: StatementOptions): Promise<RowStatement> {
    const { binds, describeOnly = false, signal } = options;
    return new Promise((resolve, reject) => {
      const ended = AbortSignal.any([signal, AbortSignal.timeout(WITHIN_MS)]);
      const stop = (): void => {
        // Nobody waits for its answer.
        statement.cancel(() => {});
        reject(new TailraceError("source.unreachable", `${options.what}: Snowflake did not answer in time`));
      };
      const statement = connection.execute({
        sqlText: sql,
        ...(binds !== undefined && { binds: [...binds] }),
        ...(describeOnly && { describeOnly }),
        streamResult: true,
        fetchAsString: ["Number", "Date", "Boolean", "JSON", "Buffer"],
        parameters: PARAMETERS,
        complete: (error, done) => {
          ended.removeEventListener("abort", stop);
          if (error) reject(error);
          else resolve(done);
        },
      });
      if (ended.aborted) stop();
      else ended.addEventListener("abort", stop, { once: true });
    });
  }

  #reply(statement: RowStatement, what: string): Reply {
    const columns = (statement.getColumns() ?? []).map((column) => ({
      name: column.getName(),
      type: column.getType(),
      precision: column.getPrecision() ?? 0,
      scale: column.getScale() ?? 0,
      nullable: column.isNullable(),
    }));
    const refetch = (): Promise<RowStatement> => this.#refetch(statement.getQueryId());
    return { columns, pages: (signal) => pagesOf(statement, refetch, this.#refreshMs, what, signal) };
  }

  /** The same result with addresses that are good for a while again. */
  async #refetch(queryId: string): Promise<RowStatement> {
    const connection = await this.#connected();
    return new Promise((resolve, reject) => {
      connection.fetchResult({
        queryId,
        streamResult: true,
        fetchAsString: ["Number", "Date", "Boolean", "JSON", "Buffer"],
        complete: (error, done) => (error ? reject(error) : resolve(done)),
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const connection = await this.#connection?.catch(() => null);
    this.#connection = null;
    if (connection) await new Promise<void>((resolve) => connection.destroy(() => resolve()));
  }
}

/** In PEM, not encrypted any more. What is wrong with it is not said: the library's own words may quote it. */
function keyOf(text: string, passphrase: string | undefined): string {
  try {
    return createPrivateKey({ key: text, passphrase }).export({ type: "pkcs8", format: "pem" }) as string;
  } catch {
    const why = passphrase === undefined ? "" : ", or `private_key_passphrase` is not its own";
    throw new TailraceError("source.config", `\`private_key\` is no private key in PEM${why}`);
  }
}

/** Whoever takes the pages may take as long as they like. */
async function* pagesOf(
  first: RowStatement,
  refetch: () => Promise<RowStatement>,
  refreshMs: number,
  what: string,
  signal: AbortSignal,
): AsyncGenerator<TextRow[], void, undefined> {
  const total = first.getNumRows();
  let taken = 0;
  let fetchedMs = Date.now();
  let rows = new RowStream(first.streamRows());
  try {
    while (taken < total) {
      signal.throwIfAborted();
      if (Date.now() - fetchedMs > refreshMs) {
        rows.close();
        rows = new RowStream((await refetch()).streamRows({ start: taken }));
        fetchedMs = Date.now();
      }
      const page = await rows.page(signal);
      if (page.length === 0)
        throw new TailraceError("source.unreachable", `${what}: a result ended before its last row`);
      taken += page.length;
      yield page;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw asSourceError(error, what);
  } finally {
    rows.close();
  }
}
