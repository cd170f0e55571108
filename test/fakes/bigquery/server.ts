// BigQuery's REST API as Google's client library speaks it: jobs with ids of the client's, results in pages, tables' metadata.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { HttpFaults } from "../http-faults.ts";
import { BigQueryFault, notFound } from "./errors.ts";
import { BigQueryProject, type Parameters, PROJECT } from "./project.ts";
import { Store } from "./store.ts";

export interface BigQueryRequest {
  readonly method: string;
  /** Behind `/bigquery/v2/projects/PROJECT`, without the query. */
  readonly path: string;
  /** Of a query; else empty. */
  readonly sql: string;
}

type Body = Record<string, unknown>;

interface QueryBody {
  readonly query: string;
  readonly maximumBytesBilled?: string;
  readonly queryParameters?: readonly { readonly name: string; readonly parameterValue: { readonly value?: string } }[];
}

interface Job {
  readonly sql: string;
  readonly result: { readonly schema: object; readonly rows: readonly (string | null)[][] } | BigQueryFault;
  readonly bytes: bigint;
  /** How often "not complete" is still to be answered. */
  waits: number;
}

const TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token";
/** Of each table that a query reads, 10 MB are billed at the least: https://cloud.google.com/bigquery/pricing */
const LEAST_BYTES = 10_485_760n;
const RESULT_PARAMETERS = new Set([
  "location",
  "pageToken",
  "maxResults",
  "timeoutMs",
  "startIndex",
  "formatOptions.useInt64Timestamp",
  "prettyPrint",
]);

export class BigQueryServer extends BigQueryProject {
  readonly faults = new HttpFaults<BigQueryRequest, BigQueryFault>();
  /** Queries that read a table, as they came, and the bytes that they were billed for. */
  readonly billed: { readonly sql: string; readonly bytes: bigint }[] = [];
  /** Requests as they came: `GET /datasets/shop/tables/users`. */
  readonly requests: string[] = [];
  /** Whether requests need a token of {@link tokens}. */
  authenticates = false;
  /** Tokens that were given out. */
  tokens = 0;
  /** Rows that a page has at the most. Small, so that tests have many pages. */
  pageRows = 100;
  /** How often a query's results are "not complete" first. */
  waits = 0;
  readonly #jobs = new Map<string, Job>();
  readonly #valid = new Set<string>();
  #server: Server;
  #port = 0;

  private constructor(store: Store) {
    super(store);
    this.#server = this.#made();
  }

  static async start(): Promise<BigQueryServer> {
    const server = new BigQueryServer(await Store.open());
    await server.#listen();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Answers of queries that ran are not kept any more. */
  forgetResults(): void {
    this.#jobs.clear();
  }

  /** The tokens that were given out are worth nothing any more. */
  revoke(): void {
    this.#valid.clear();
  }

  async restart(): Promise<void> {
    await this.#close();
    this.#server = this.#made();
    await this.#listen(this.#port);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
    await super[Symbol.asyncDispose]();
  }

  #made(): Server {
    return createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => {
        response.statusCode = 500;
        response.end(String(error));
      });
    });
  }

  async #listen(port = 0): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async #close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const url = new URL(request.url ?? "/", this.url);
    if (url.pathname === "/token") return this.#giveToken(response);
    const body = (chunks.length === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString("utf8"))) as Body;
    const path = decodeURIComponent(url.pathname).replace(/^\/bigquery\/v2\/projects\/[^/]+/, "");
    const method = request.method ?? "GET";
    const asked: BigQueryRequest = { method, path, sql: sqlIn(body) };
    this.requests.push(`${method} ${path}`);
    const fault = this.faults.take(asked);
    if (fault?.kind === "refused") {
      request.socket.destroy();
      return;
    }
    let status = 200;
    let answer: object;
    try {
      const token = /^Bearer (.+)/.exec(request.headers.authorization ?? "")?.[1] ?? "";
      if (this.authenticates && !this.#valid.has(token))
        throw new BigQueryFault(401, "authError", "Request had invalid authentication credentials.");
      if (fault?.kind === "status")
        throw new BigQueryFault(
          fault.status,
          "backendError",
          "Error encountered during execution. Retrying may solve the problem.",
        );
      if (fault?.kind === "answer") throw fault.answer;
      answer = await this.inTurn(() => this.#answer(asked, url.searchParams, body));
    } catch (error) {
      if (!(error instanceof BigQueryFault)) throw error;
      ({ status } = error);
      answer = error.body;
    }
    if (fault?.kind === "lost") {
      request.socket.destroy();
      return;
    }
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
  }

  /** https://docs.cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token: of workload identity federation. */
  #giveToken(response: ServerResponse): void {
    this.tokens += 1;
    const token = `token-${this.tokens}`;
    this.#valid.add(token);
    const answer = { access_token: token, token_type: "Bearer", expires_in: 3600, issued_token_type: TOKEN_TYPE };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
  }

  async #answer({ method, path }: BigQueryRequest, query: URLSearchParams, body: Body): Promise<object> {
    const [, collection, id, third, name] = path.split("/");
    if (collection === "jobs" && method === "POST") return third === "cancel" ? {} : this.#insertJob(body);
    if (collection === "queries") return method === "POST" ? this.#query(body) : this.#results(id!, query);
    if (collection === "datasets" && third === undefined)
      return {
        datasetReference: { projectId: PROJECT, datasetId: id },
        location: "US",
        maxTimeTravelHours: String(this.maxTimeTravelHours),
      };
    if (collection === "datasets" && third === "tables") {
      const [table = "", action] = name!.split(":");
      return action === "testIamPermissions"
        ? this.permissions(`${id}.${table}`, (body as { permissions: readonly string[] }).permissions)
        : this.resource(this.table(`${id}.${table}`));
    }
    throw notFound(path);
  }

  /** https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/jobs/insert: an id that was used already is a conflict. */
  async #insertJob(body: Body): Promise<object> {
    const { configuration, jobReference } = body as {
      configuration: { query: QueryBody; dryRun?: boolean };
      jobReference?: { jobId?: string };
    };
    const { query, dryRun } = configuration;
    if (dryRun === true) return this.#dryRun(query);
    const jobId = jobReference?.jobId ?? `job_${this.#jobs.size}`;
    if (this.#jobs.has(jobId)) throw new BigQueryFault(409, "duplicate", `Already Exists: Job ${PROJECT}:US.${jobId}`);
    const job = await this.#job(query);
    this.#jobs.set(jobId, job);
    const failed =
      job.result instanceof BigQueryFault
        ? { errorResult: { reason: job.result.reason, message: job.result.message } }
        : {};
    return {
      kind: "bigquery#job",
      jobReference: { projectId: PROJECT, jobId, location: "US" },
      status: { state: job.waits > 0 ? "RUNNING" : "DONE", ...failed },
      statistics: { totalBytesProcessed: String(job.bytes) },
    };
  }

  async #dryRun(query: QueryBody): Promise<object> {
    const { fields, tables, bytes } = await this.planned(query.query, parametersOf(query));
    return {
      kind: "bigquery#job",
      jobReference: { projectId: PROJECT, location: "US" },
      status: { state: "DONE" },
      statistics: {
        totalBytesProcessed: String(bytes),
        query: {
          schema: { fields },
          referencedTables: tables.map(({ name }) => {
            const [datasetId, tableId] = name.split(".");
            return { projectId: PROJECT, datasetId, tableId };
          }),
        },
      },
    };
  }

  async #job(query: QueryBody): Promise<Job> {
    let bytes = 0n;
    try {
      const planned = await this.planned(query.query, parametersOf(query));
      ({ bytes } = planned);
      const billed = bytes > LEAST_BYTES ? bytes : LEAST_BYTES;
      if (planned.reads > 0) {
        // A query beyond the limit fails without a charge: https://docs.cloud.google.com/bigquery/docs/best-practices-costs
        if (query.maximumBytesBilled !== undefined && billed > BigInt(query.maximumBytesBilled))
          throw new BigQueryFault(
            400,
            "bytesBilledLimitExceeded",
            `Query exceeded limit for bytes billed: ${query.maximumBytesBilled}. ${billed} or higher required.`,
          );
        this.billed.push({ sql: query.query, bytes: billed });
      }
      const rows = await this.run(query.query, parametersOf(query));
      return {
        sql: query.query,
        bytes,
        waits: this.waits,
        result: { schema: { fields: planned.fields }, rows },
      };
    } catch (error) {
      if (!(error instanceof BigQueryFault)) throw error;
      return { sql: query.query, bytes, waits: this.waits, result: error };
    }
  }

  async #query(body: Body): Promise<object> {
    const job = await this.#job(body as unknown as QueryBody);
    const jobId = `query_${this.#jobs.size}`;
    this.#jobs.set(jobId, { ...job, waits: 0 });
    return this.#results(jobId, new URLSearchParams());
  }

  #results(jobId: string, query: URLSearchParams): object {
    for (const name of query.keys())
      if (!RESULT_PARAMETERS.has(name))
        throw new BigQueryFault(
          400,
          "invalid",
          `Invalid JSON payload received. Unknown name "${name}": Cannot bind query parameter.`,
        );
    const job = this.#jobs.get(jobId);
    if (job === undefined) throw notFound(`Job ${PROJECT}:US.${jobId}`);
    const jobReference = { projectId: PROJECT, jobId, location: "US" };
    if (job.waits > 0) {
      job.waits -= 1;
      return { jobReference, jobComplete: false };
    }
    if (job.result instanceof BigQueryFault) throw job.result;
    const { schema, rows } = job.result;
    const from = Number(query.get("pageToken") ?? 0);
    const to = from + Math.min(this.pageRows, Number(query.get("maxResults") ?? this.pageRows));
    return {
      jobReference,
      jobComplete: true,
      schema,
      totalRows: String(rows.length),
      totalBytesProcessed: String(job.bytes),
      ...(from < rows.length ? { rows: rows.slice(from, to).map((row) => ({ f: row.map((v) => ({ v })) })) } : {}),
      ...(to < rows.length ? { pageToken: String(to) } : {}),
    };
  }
}

function parametersOf({ queryParameters = [] }: QueryBody): Parameters {
  return Object.fromEntries(queryParameters.map(({ name, parameterValue }) => [name, parameterValue.value ?? null]));
}

function sqlIn(body: Body): string {
  const { configuration, query } = body as { configuration?: { query?: { query?: string } }; query?: string };
  return configuration?.query?.query ?? (typeof query === "string" ? query : "");
}
