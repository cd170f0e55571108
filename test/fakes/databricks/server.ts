// Databricks' Thrift interface as its driver speaks it: the binary protocol over HTTPS POST. Thrift's own server does the encoding, from the
// driver's own definitions.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { HttpFaults } from "../http-faults.ts";
import type { Result } from "./engine.ts";
import { DatabricksRefusal } from "./refusal.ts";
import { FakeWarehouse } from "./warehouse.ts";

const require = createRequire(import.meta.url);
const thrift = require("thrift") as Thrift;
const service = require("@databricks/sql/thrift/TCLIService.js") as { Processor: new (handlers: object) => Processor };
const types = require("@databricks/sql/thrift/TCLIService_types.js") as Record<string, Record<string, number>>;

interface Processor {
  process(input: object, output: object): void;
}
interface Thrift {
  TBufferedTransport: {
    new (buffer: undefined, onFlush: (message: Buffer) => void): object;
    receiver(onTransport: (transport: object) => void): (data: Buffer) => void;
  };
  TBinaryProtocol: new (transport: object) => object;
}

const TLS = join(import.meta.dirname, "../../fixtures/tls");
export const CA_FILE = join(TLS, "ca.pem");

type Call = Record<string, unknown> & {
  readonly sessionHandle?: { readonly sessionId: { readonly guid: Buffer } };
  readonly operationHandle?: { readonly operationId: { readonly guid: Buffer } };
};
type Reply = (error: null, response: object) => void;

/** What a fault can be about. */
export interface DatabricksRequest {
  /** The Thrift method: `ExecuteStatement`, `FetchResults` … */
  readonly method: string;
  /** Of ExecuteStatement; else empty. */
  readonly sql: string;
}

interface Operation {
  readonly result: Result | DatabricksRefusal;
  fetched: number;
}

const SUCCESS = { status: { statusCode: types["TStatusCode"]!["SUCCESS_STATUS"] } };

export class DatabricksServer implements AsyncDisposable {
  readonly warehouse: FakeWarehouse;
  readonly faults = new HttpFaults<DatabricksRequest, never>();
  readonly token = "dapi-test-token";
  readonly principal = { id: "principal-id", secret: "principal-secret" };
  /** Every statement that came, in order. */
  readonly statements: string[] = [];
  /** Rows of a FetchResults, at the most. */
  fetchRows = 1_000;
  logins = 0;
  readonly #server: Server;
  readonly #processor: Processor;
  readonly #sessions = new Set<string>();
  readonly #operations = new Map<string, Operation>();
  readonly #tokens = new Set<string>();

  private constructor(warehouse: FakeWarehouse) {
    this.warehouse = warehouse;
    this.#tokens.add(this.token);
    this.#processor = new service.Processor(this.#handlers());
    const certificate = { key: readFileSync(join(TLS, "server.key")), cert: readFileSync(join(TLS, "server.pem")) };
    this.#server = createServer(certificate, (request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  static async start(): Promise<DatabricksServer> {
    const fake = new DatabricksServer(await FakeWarehouse.start());
    await new Promise<void>((resolve) => fake.#server.listen(0, "127.0.0.1", resolve));
    return fake;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** What a source's settings say of it. */
  get settings() {
    return {
      host: "localhost",
      port: this.port,
      http_path: "/sql/1.0/warehouses/test",
      token: this.token,
      ca: CA_FILE,
    };
  }

  /** As after an hour of silence, or a restart of the warehouse. */
  endSessions(): void {
    this.#sessions.clear();
    this.#operations.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    this.warehouse.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    if (request.url === "/oidc/v1/token") return this.#grant(request, body.toString(), response);
    const [, token] = /^Bearer (.+)$/.exec(request.headers.authorization ?? "") ?? [];
    if (token === undefined || !this.#tokens.has(token)) return void response.writeHead(403).end();
    if (!request.url?.startsWith("/sql/")) return void response.writeHead(404).end();
    const { method, sql } = peek(body);
    const fault = this.faults.take({ method, sql });
    if (fault?.kind === "status") return void response.writeHead(fault.status).end();
    if (fault?.kind === "refused") return void response.destroy();
    const answer = await this.#answer(body);
    if (fault?.kind === "lost") response.destroy();
    else response.writeHead(200, { "content-type": "application/x-thrift" }).end(answer);
  }

  #answer(body: Buffer): Promise<Buffer> {
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    const output = new thrift.TBufferedTransport(undefined, resolve);
    const receive = thrift.TBufferedTransport.receiver((input) =>
      this.#processor.process(new thrift.TBinaryProtocol(input), new thrift.TBinaryProtocol(output)),
    );
    receive(body);
    return promise;
  }

  /** docs.databricks.com/dev-tools/auth/oauth-m2m: client credentials, the answer is a JWT of one hour. */
  #grant(request: IncomingMessage, body: string, response: ServerResponse): void {
    const { id, secret } = this.principal;
    const expected = `Basic ${Buffer.from(`${id}:${secret}`).toString("base64")}`;
    const form = new URLSearchParams(body);
    if (form.get("grant_type") !== "client_credentials" || form.get("scope") !== "all-apis")
      return void response.writeHead(400).end('{"error":"invalid_request"}');
    if (request.headers.authorization !== expected)
      return void response.writeHead(401).end('{"error":"invalid_client"}');
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const token = `${part({ alg: "none" })}.${part({ sub: id, exp: Math.floor(Date.now() / 1000) + 3600 })}.x`;
    this.#tokens.add(token);
    response.writeHead(200).end(JSON.stringify({ access_token: token, token_type: "Bearer", expires_in: 3600 }));
  }

  #handlers(): Record<string, (call: Call, reply: Reply) => void> {
    const inSession = (call: Call): boolean => this.#sessions.has(hex(call.sessionHandle!.sessionId.guid));
    const operationOf = (call: Call): Operation | undefined =>
      this.#operations.get(hex(call.operationHandle!.operationId.guid));
    const result = (call: Call, reply: Reply, work: (operation: Operation, result: Result) => object): void => {
      const operation = operationOf(call);
      if (operation === undefined || operation.result instanceof DatabricksRefusal)
        return reply(null, failed("RESOURCE_DOES_NOT_EXIST: Invalid OperationHandle"));
      reply(null, { ...SUCCESS, ...work(operation, operation.result) });
    };
    return {
      OpenSession: (_call, reply) => {
        this.logins += 1;
        const guid = handle();
        this.#sessions.add(hex(guid));
        reply(null, {
          ...SUCCESS,
          serverProtocolVersion: types["TProtocolVersion"]!["SPARK_CLI_SERVICE_PROTOCOL_V8"],
          sessionHandle: { sessionId: { guid, secret: handle() } },
        });
      },
      CloseSession: (call, reply) => {
        this.#sessions.delete(hex(call.sessionHandle!.sessionId.guid));
        reply(null, SUCCESS);
      },
      ExecuteStatement: (call, reply) => {
        if (!inSession(call)) return reply(null, failed("INVALID_STATE: Invalid SessionHandle: it has expired"));
        void this.#execute(call).then((response) => reply(null, response));
      },
      GetOperationStatus: (call, reply) => {
        const operation = operationOf(call);
        if (operation === undefined) return reply(null, failed("RESOURCE_DOES_NOT_EXIST: Invalid OperationHandle"));
        reply(null, { ...SUCCESS, ...statusOf(operation) });
      },
      GetResultSetMetadata: (call, reply) =>
        result(call, reply, (_operation, { columns, types: columnTypes }) => ({
          schema: { columns: columns.map((columnName, index) => schemaColumn(columnName, columnTypes[index]!, index)) },
          resultFormat: types["TSparkRowSetType"]!["COLUMN_BASED_SET"],
        })),
      FetchResults: (call, reply) =>
        result(call, reply, (operation, { columns, types: columnTypes, rows }) => {
          const most = Math.min(this.fetchRows, Number(call["maxRows"]));
          const some = rows.slice(operation.fetched, operation.fetched + most);
          operation.fetched += some.length;
          return {
            hasMoreRows: operation.fetched < rows.length,
            results: {
              startRowOffset: 0,
              rows: [],
              columns: columns.map((_, place) =>
                column(
                  some.map((row) => row[place] ?? null),
                  columnTypes[place]!,
                ),
              ),
            },
          };
        }),
      CloseOperation: (call, reply) => {
        this.#operations.delete(hex(call.operationHandle!.operationId.guid));
        reply(null, SUCCESS);
      },
      CancelOperation: (call, reply) => {
        this.#operations.delete(hex(call.operationHandle!.operationId.guid));
        reply(null, SUCCESS);
      },
    };
  }

  async #execute(call: Call): Promise<object> {
    const sql = String(call["statement"]);
    this.statements.push(sql);
    const parameters = (call["parameters"] ?? []) as readonly { name: string; value: { stringValue: string } }[];
    const values = Object.fromEntries(parameters.map(({ name, value }) => [name, value.stringValue]));
    const result = await this.warehouse.execute(sql, values).catch((error: unknown) => {
      if (error instanceof DatabricksRefusal) return error;
      throw error;
    });
    const guid = handle();
    this.#operations.set(hex(guid), { result, fetched: 0 });
    return {
      ...SUCCESS,
      operationHandle: {
        operationId: { guid, secret: handle() },
        operationType: types["TOperationType"]!["EXECUTE_STATEMENT"],
        hasResultSet: true,
      },
    };
  }
}

/** The method's name and the statement, without decoding the whole message. */
function peek(body: Buffer): DatabricksRequest {
  const length = body.readInt32BE(4);
  const method = body.subarray(8, 8 + length).toString();
  return { method, sql: method === "ExecuteStatement" ? body.toString("utf8") : "" };
}

function statusOf({ result }: Operation): object {
  const states = types["TOperationState"]!;
  if (!(result instanceof DatabricksRefusal)) return { operationState: states["FINISHED_STATE"], hasResultSet: true };
  return { operationState: states["ERROR_STATE"], errorMessage: result.message, displayMessage: result.message };
}

function failed(errorMessage: string): object {
  return { status: { statusCode: types["TStatusCode"]!["ERROR_STATUS"], errorMessage } };
}

/** The driver takes only UUIDs of RFC 4122. */
function handle(): Buffer {
  const bytes = randomBytes(16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes;
}

function hex(guid: Buffer | string): string {
  return Buffer.from(guid as Buffer).toString("hex");
}

function schemaColumn(columnName: string, type: string, index: number): object {
  const ids = types["TTypeId"]!;
  const id = type === "bigint" ? ids["BIGINT_TYPE"] : type === "map" ? ids["MAP_TYPE"] : ids["STRING_TYPE"];
  return { columnName, position: index + 1, typeDesc: { types: [{ primitiveEntry: { type: id } }] } };
}

function column(values: readonly (string | null)[], type: string): object {
  const nulls = Buffer.alloc(Math.ceil(values.length / 8));
  values.forEach((value, index) => {
    if (value === null) nulls[index >> 3]! |= 1 << (index & 7);
  });
  if (type === "bigint") return { i64Val: { values: values.map((value) => Number(value ?? 0)), nulls } };
  return { stringVal: { values: values.map((value) => value ?? ""), nulls } };
}
