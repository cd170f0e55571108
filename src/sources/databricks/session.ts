import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { TailraceError } from "../../contracts/errors.ts";
import { readSecret, type SecretReference } from "../../kit/secret.ts";
import { Refusal } from "./errors.ts";
import { type DriverClient, type DriverSession, loadDriver } from "./library.ts";
import { machineToken } from "./oauth.ts";
import type { Settings } from "./settings.ts";

/** A row by its columns' names; what was not cast to STRING is as the driver makes it. */
export type Row = Readonly<Record<string, unknown>>;
export type Parameters = Readonly<Record<string, string>>;

interface Connected {
  readonly client: DriverClient;
  readonly session: DriverSession;
}

/** About how large what is fetched at once is. */
const FETCH_BYTES = 1024 * 1024;
const FIRST_ROWS = 500;
const MOST_ROWS = 20_000;
const CLOSE_MS = 5_000;

/** One session of a SQL warehouse, opened when it is needed, and again after it was lost. Statements may run beside each other. */
export class Session implements AsyncDisposable {
  readonly #settings: Settings;
  readonly #baseDirectory: string;
  #open: Promise<Connected> | null = null;

  constructor(settings: Settings, baseDirectory: string) {
    this.#settings = settings;
    this.#baseDirectory = baseDirectory;
  }

  /** All rows of a statement that gives few. */
  async rows(sql: string, signal: AbortSignal, parameters: Parameters = {}): Promise<readonly Row[]> {
    const rows: Row[] = [];
    for await (const page of this.pages(sql, signal, parameters)) rows.push(...page);
    return rows;
  }

  /** A statement's rows as they come; what is not asked for waits at the warehouse. Throws {@link Refusal}, or a TailraceError. */
  async *pages(
    sql: string,
    signal: AbortSignal,
    parameters: Parameters = {},
  ): AsyncGenerator<readonly Row[], void, undefined> {
    const operation = await this.#guard(signal, async () => {
      const { session } = await this.#opened();
      return session.executeStatement(sql, {
        namedParameters: { ...parameters },
        // Files in the cloud are fetched ten at a time, some 20 MB each, from addresses that expire while a destination is slow.
        useCloudFetch: false,
        maxRows: FIRST_ROWS,
      });
    });
    let isOver = false;
    try {
      for (let rows = FIRST_ROWS; ;) {
        const page = await this.#guard(
          signal,
          () => operation.fetchChunk({ maxRows: rows, disableBuffering: true }) as Promise<Row[]>,
        );
        if (page.length === 0) {
          isOver = !(await this.#guard(signal, () => operation.hasMoreRows()));
          if (isOver) return;
          continue;
        }
        rows = Math.max(1, Math.min(MOST_ROWS, 2 * rows, Math.ceil((page.length * FETCH_BYTES) / sizeOf(page))));
        yield page;
      }
    } finally {
      // The warehouse gives up what nobody closes.
      await (isOver ? operation.close() : operation.cancel()).catch(() => {});
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = this.#open;
    this.#open = null;
    // A host that does not answer must not keep the process from ending.
    if (open !== null) await Promise.race([closeAll(open), delay(CLOSE_MS, undefined, { ref: false })]);
  }

  #opened(): Promise<Connected> {
    this.#open ??= this.#connect();
    return this.#open;
  }

  async #connect(): Promise<Connected> {
    const { DBSQLClient } = await loadDriver();
    const { host, port, http_path, token, oauth, ca, catalog, schema } = this.#settings;
    const customCaCert = ca === undefined ? undefined : await readFile(resolve(this.#baseDirectory, ca), "utf8");
    const common = {
      host,
      port,
      path: http_path,
      userAgentEntry: "Tailrace",
      telemetryEnabled: false,
      preserveBigNumericPrecision: true,
      // Whoever reads tries again, with a growing delay.
      retryMaxAttempts: 1,
      ...(customCaCert === undefined ? {} : { customCaCert }),
    };
    const client = new DBSQLClient({ logger: { log() {} } });
    client.on("error", () => {});
    try {
      if (oauth === undefined) await client.connect({ ...common, token: await this.#secret(token!, "token") });
      else
        await client.connect({ ...common, authType: "external-token", getToken: () => this.#oauthToken(customCaCert) });
      const session = await client.openSession({
        ...(catalog === undefined ? {} : { initialCatalog: catalog }),
        initialSchema: schema,
        configuration: { ANSI_MODE: "true" },
      });
      // A TIMESTAMP's text is in the session's time zone. A statement is refused where it is not understood; a configuration is not.
      const set = await session.executeStatement("SET TIME ZONE 'UTC'");
      await set.finished();
      await set.close();
      return { client, session };
    } catch (error) {
      await client.close().catch(() => {});
      throw error;
    }
  }

  async #oauthToken(ca: string | undefined): Promise<string> {
    const { host, port } = this.#settings;
    const { client_id, client_secret } = this.#settings.oauth!;
    return machineToken(
      `https://${host}:${port}`,
      client_id,
      await this.#secret(client_secret, "oauth.client_secret"),
      ca,
    );
  }

  #secret(secret: string | SecretReference, name: string): Promise<string> {
    return typeof secret === "string" ? Promise.resolve(secret) : readSecret(secret, name, this.#baseDirectory);
  }

  async #guard<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
    const open = this.#open;
    const working = work();
    working.catch(() => {});
    try {
      return await Promise.race([working, aborted.promise]);
    } catch (error) {
      signal.throwIfAborted();
      throw this.#failure(error, open);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** What a statement was refused for leaves the session as it is; anything else may have ended it. */
  #failure(error: unknown, used: Promise<Connected> | null): Error {
    const refusal = refusalIn(error);
    if (refusal !== null) return refusal;
    const open = this.#open;
    if (open !== null && (used === null || used === open)) {
      this.#open = null;
      void closeAll(open);
    }
    return failureOf(error);
  }
}

async function closeAll(open: Promise<Connected>): Promise<void> {
  try {
    const { client, session } = await open;
    await session.close().catch(() => {});
    await client.close();
  } catch {
    // There is nothing left that could be closed.
  }
}

/** A status that says why, which names an error condition or a SQLSTATE. */
function refusalIn(error: unknown): Refusal | null {
  const {
    name,
    message = "",
    response,
  } = (error ?? {}) as {
    name?: string;
    message?: string;
    response?: { errorMessage?: string; displayMessage?: string };
  };
  const text = response?.errorMessage ?? response?.displayMessage ?? (name === "Status Error" ? message : "");
  if (text === "" || SESSION_LOST.test(text)) return null;
  return new Refusal(text);
}

const SESSION_LOST = /invalid (session|operation) ?handle|session .*(expired|closed|not found)/i;

function failureOf(error: unknown): TailraceError {
  if (error instanceof TailraceError) return error;
  const { name, code, statusCode, payload, message } = (error ?? {}) as {
    name?: string;
    code?: string | number;
    statusCode?: number;
    payload?: { status?: number };
    message?: string;
  };
  const status = statusCode ?? payload?.status;
  if (
    name === "AuthenticationError" ||
    status === 401 ||
    status === 403 ||
    /\b(401|403)\b|invalid_client/.test(message ?? "")
  )
    return new TailraceError(
      "source.auth",
      `Databricks refused the credentials${status === undefined ? "" : ` (HTTP ${status})`}`,
    );
  if (typeof code === "string" && /CERT|TLS|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code))
    return new TailraceError("source.tls", `the certificate of Databricks' host could not be verified (${code})`);
  const why = status === undefined ? String(code ?? name ?? "error") : `HTTP ${status}`;
  return new TailraceError("source.unreachable", `the connection to Databricks failed (${why})`);
}

function sizeOf(page: readonly Row[]): number {
  let size = page.length * 32;
  for (const row of page) for (const value of Object.values(row)) size += typeof value === "string" ? value.length : 8;
  return size;
}
