import type { Api } from "./api.ts";
import { newJobId } from "./api.ts";
import { Refusal } from "./errors.ts";
import type { Field } from "./types.ts";

/** A row's values as the API sends them. */
export type TextRow = readonly (string | null)[];

export interface ResultPage {
  readonly rows: readonly TextRow[];
  /** About how many bytes they took. */
  readonly bytes: number;
  /** No row comes after these. */
  readonly last: boolean;
}

/** Named parameters, all of them STRING. */
export type Parameters = Readonly<Record<string, string>>;

export interface JobOptions {
  /** Where its tables are; absent: BigQuery finds out. */
  readonly location?: string | undefined;
  readonly parameters?: Parameters;
}

export interface DryRun {
  readonly bytes: bigint;
  readonly fields: readonly Field[];
  /** The tables and views that it reads, and those that a view reads. */
  readonly tables: readonly { readonly projectId: string; readonly datasetId: string; readonly tableId: string }[];
  /** Where they are. */
  readonly location: string | undefined;
}

interface JobResource {
  readonly jobReference: { readonly projectId: string; readonly jobId: string; readonly location?: string };
  readonly statistics?: {
    readonly totalBytesProcessed?: string;
    readonly query?: {
      readonly schema?: { readonly fields?: readonly Field[] };
      readonly referencedTables?: DryRun["tables"];
    };
  };
}

interface Results {
  readonly jobComplete: boolean;
  readonly rows?: readonly { readonly f: readonly { readonly v: string | null }[] }[];
  readonly pageToken?: string;
}

const PAGE_ROWS = 5000;
/** How long a request for results waits for a query that still runs. */
const WAIT_MS = 10_000;

export class Jobs {
  readonly #api: Api;
  readonly #maximumBytesBilled: string | undefined;

  constructor(api: Api, maximumBytesBilled: string | undefined) {
    this.#api = api;
    this.#maximumBytesBilled = maximumBytesBilled;
  }

  /** Pages of a query's rows, in its order; BigQuery keeps them for a day. The query is told to stop when the caller leaves off while it runs. */
  async *pages(
    sql: string,
    signal: AbortSignal,
    options: JobOptions = {},
  ): AsyncGenerator<ResultPage, void, undefined> {
    const job = await this.#insert(sql, signal, options);
    let isRunning = true;
    try {
      for (let token: string | undefined; ;) {
        const page: Results = await this.#api.send(
          {
            path: `/queries/${job.jobId}`,
            query: { location: job.location, pageToken: token, maxResults: PAGE_ROWS, timeoutMs: WAIT_MS },
          },
          signal,
        );
        if (!page.jobComplete) continue;
        isRunning = false;
        token = page.pageToken;
        const rows = (page.rows ?? []).map(({ f }) => f.map(({ v }) => v));
        const last = token === undefined;
        yield { rows, bytes: sizeOf(rows), last };
        if (last) return;
      }
    } finally {
      if (isRunning) this.#cancel(job);
    }
  }

  /** All rows of a small result. */
  async rows(sql: string, signal: AbortSignal, options: JobOptions = {}): Promise<readonly TextRow[]> {
    const rows: TextRow[] = [];
    for await (const page of this.pages(sql, signal, options)) rows.push(...page.rows);
    return rows;
  }

  /** The one value of a query that reads no table: nothing is billed, and it may be run twice. */
  async value(sql: string, signal: AbortSignal, location: string | undefined): Promise<string> {
    const body = {
      query: sql,
      useLegacySql: false,
      ...(location === undefined ? {} : { location }),
      timeoutMs: WAIT_MS,
    };
    const { jobComplete, rows } = await this.#api.send<Results>({ method: "POST", path: "/queries", body }, signal);
    const value = rows?.[0]?.f[0]?.v;
    if (!jobComplete || typeof value !== "string") throw new Refusal(503, "timeout", "");
    return value;
  }

  /** What a query would read, and what its columns would be. Free. */
  async dryRun(sql: string, signal: AbortSignal, options: JobOptions = {}): Promise<DryRun> {
    const { statistics, jobReference } = await this.#post(sql, signal, options, true);
    return {
      bytes: BigInt(statistics?.totalBytesProcessed ?? "0"),
      fields: statistics?.query?.schema?.fields ?? [],
      tables: statistics?.query?.referencedTables ?? [],
      location: jobReference.location ?? options.location,
    };
  }

  async #insert(sql: string, signal: AbortSignal, options: JobOptions): Promise<JobResource["jobReference"]> {
    const jobId = newJobId();
    try {
      return (await this.#post(sql, signal, options, false, jobId)).jobReference;
    } catch (error) {
      // It was made by a request whose answer was lost.
      if (error instanceof Refusal && error.status === 409)
        return {
          projectId: await this.#api.project(),
          jobId,
          ...(options.location === undefined ? {} : { location: options.location }),
        };
      throw error;
    }
  }

  async #post(
    sql: string,
    signal: AbortSignal,
    { location, parameters }: JobOptions,
    dryRun: boolean,
    jobId?: string,
  ): Promise<JobResource> {
    const projectId = await this.#api.project();
    const query = {
      query: sql,
      useLegacySql: false,
      ...(this.#maximumBytesBilled === undefined ? {} : { maximumBytesBilled: this.#maximumBytesBilled }),
      ...(parameters === undefined
        ? {}
        : { parameterMode: "NAMED", queryParameters: Object.entries(parameters).map(parameterOf) }),
    };
    const body = {
      configuration: { query, ...(dryRun ? { dryRun } : {}), labels: { app: "tailrace" } },
      jobReference: {
        projectId,
        ...(jobId === undefined ? {} : { jobId }),
        ...(location === undefined ? {} : { location }),
      },
    };
    return this.#api.send<JobResource>({ method: "POST", path: "/jobs", body }, signal);
  }

  #cancel({ jobId, location }: JobResource["jobReference"]): void {
    const signal = AbortSignal.timeout(WAIT_MS);
    this.#api.send({ method: "POST", path: `/jobs/${jobId}/cancel`, query: { location } }, signal).catch(() => {});
  }
}

function parameterOf([name, value]: [string, string]): object {
  return { name, parameterType: { type: "STRING" }, parameterValue: { value } };
}

function sizeOf(rows: readonly TextRow[]): number {
  let size = 0;
  for (const row of rows) for (const value of row) size += 8 + (value?.length ?? 0);
  return size;
}
