// Requests to BigQuery's REST API through Google's own client, which authorizes them. Its parsing of rows is left out: values stay the texts that the
// API sends. So are its repeats, which wait for seconds.
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { TailraceError } from "../../contracts/errors.ts";
import { identityOf } from "./credentials.ts";
import { failureOf, Refusal } from "./errors.ts";
import { type Client, type ClientOptions, loadClient } from "./library.ts";
import type { Settings } from "./settings.ts";

export interface ApiRequest {
  readonly method?: "GET" | "POST";
  /** Behind `…/projects/PROJECT`. */
  readonly path: string;
  /** Default: the source's own. */
  readonly project?: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: object;
}

export class Api {
  readonly #settings: Settings;
  readonly #baseDirectory: string;
  #open: Promise<{ readonly client: Client; readonly project: string }> | null = null;

  constructor(settings: Settings, baseDirectory: string) {
    this.#settings = settings;
    this.#baseDirectory = baseDirectory;
  }

  /** The project that queries run in. */
  async project(): Promise<string> {
    return (await this.#opened()).project;
  }

  /**
   * The answer's body. Throws a {@link Refusal}, or a TailraceError. What may pass is tried again at once: a long result is not to be paid for again
   * because one page of it failed. So a request must bear to be made twice.
   */
  async send<T>(request: ApiRequest, signal: AbortSignal): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#once<T>(request, signal);
      } catch (error) {
        // A token may have been revoked before its time, or the key exchanged: the next request has another one.
        if (error instanceof Refusal && error.status === 401) this.#open = null;
        if (attempt === PAUSES_MS.length || signal.aborted || !mayPass(error)) throw error;
        await delay(PAUSES_MS[attempt], undefined, { signal });
      }
    }
  }

  async #once<T>({ method = "GET", path, project, query, body }: ApiRequest, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    const { client, project: own } = await this.#opened();
    const { promise, resolve: answer, reject } = Promise.withResolvers<T>();
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
    client.request(
      {
        method,
        uri: path,
        projectId: project ?? own,
        ...(query === undefined ? {} : { qs: given(query) }),
        ...(body === undefined ? {} : { json: body }),
      },
      (error, found) => (error === null ? answer(found as T) : reject(failureOf(error))),
    );
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  #opened(): Promise<{ readonly client: Client; readonly project: string }> {
    this.#open ??= this.#connect().catch((error: unknown) => {
      this.#open = null;
      throw failureOf(error);
    });
    return this.#open;
  }

  async #connect(): Promise<{ readonly client: Client; readonly project: string }> {
    const { BigQuery } = await loadClient();
    const { location, api_endpoint } = this.#settings;
    const identity = await identityOf(this.#settings, this.#baseDirectory);
    const project = this.#settings.project ?? identity?.project ?? undefined;
    const options: ClientOptions = {
      ...(project === undefined ? {} : { projectId: project }),
      ...(location === undefined ? {} : { location }),
      ...(api_endpoint === undefined ? {} : { apiEndpoint: api_endpoint }),
      ...(identity === null ? {} : { authClient: identity.authClient }),
      userAgent: "Tailrace",
      autoRetry: false,
    };
    const client = new BigQuery(options);
    return { client, project: project ?? (await client.getProjectId()) };
  }
}

/** Whoever reads tries again after that, with pauses that grow. */
const PAUSES_MS = [200, 500, 1000];

function mayPass(error: unknown): boolean {
  if (error instanceof Refusal) return error.status >= 500 || error.status === 429 || error.status === 401;
  return error instanceof TailraceError && error.code === "source.unreachable";
}

function given(query: NonNullable<ApiRequest["query"]>): object {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined));
}

/** An id that is ours to choose, so that a job whose answer was lost is found again instead of being run twice. */
export function newJobId(): string {
  return `tailrace_${randomUUID()}`;
}
