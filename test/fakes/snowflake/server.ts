// Snowflake's HTTP interface as its client library speaks it: login by key pair, sessions that expire and are renewed, statements, results
// in parts behind addresses that expire.
import { createHash, createPublicKey, verify } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync, gzipSync } from "node:zlib";
import { HttpFaults } from "../http-faults.ts";
import { Account } from "./account.ts";
import { SnowflakeFault } from "./errors.ts";
import { type Answer, Session } from "./session.ts";

export interface SnowflakeRequest {
  readonly path: string;
  /** Of a statement; else empty. */
  readonly sql: string;
}

interface User {
  readonly publicKey: string;
  readonly role: string;
}

interface Token {
  readonly session: Session;
  readonly master: boolean;
  valid: boolean;
}

type Body = Record<string, unknown>;

/** https://docs.snowflake.com/en/sql-reference/parameters: the defaults, and the time zone that the client asks for. */
const PARAMETERS = [
  { name: "TIMEZONE", value: "UTC" },
  { name: "TIMESTAMP_OUTPUT_FORMAT", value: "YYYY-MM-DD HH24:MI:SS.FF3 TZHTZM" },
];

/** Rows that come with the answer itself, and those of a part. Small, so that tests have many parts. */
const INLINE_ROWS = 50;

export class SnowflakeServer implements AsyncDisposable {
  readonly account: Account;
  readonly faults = new HttpFaults<SnowflakeRequest, Body>();
  /** Parts that were fetched, and those that were refused because their address had expired. */
  readonly chunks = { fetched: 0, expired: 0 };
  chunkRows = 200;
  /** Every statement is answered with "in progress" first. */
  slow = false;
  renewals = 0;
  logins = 0;
  heartbeats = 0;
  readonly #server: Server;
  readonly #users = new Map<string, User>();
  readonly #tokens = new Map<string, Token>();
  readonly #results = new Map<string, Answer | SnowflakeFault>();
  /** Of addresses; those of an earlier one have expired. */
  #generation = 0;
  #ids = 0;

  private constructor(account: Account) {
    this.account = account;
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => {
        response.statusCode = 500;
        response.end(String(error));
      });
    });
  }

  static async start(): Promise<SnowflakeServer> {
    const server = new SnowflakeServer(await Account.open());
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  addUser(name: string, publicKeyPem: string, role: string): void {
    this.#users.set(name.toUpperCase(), { publicKey: publicKeyPem, role });
  }

  /** The tokens of all sessions have run out: the next request is refused with 390112, and renews them. */
  expireSessions(): void {
    for (const token of this.#tokens.values()) if (!token.master) token.valid = false;
  }

  /** The addresses of all parts have run out, as they do some hours after the result was asked for. */
  expireAddresses(): void {
    this.#generation += 1;
  }

  /** All sessions are gone, their transactions with them, as after a restart of the service. */
  async loseSessions(): Promise<void> {
    const sessions = new Set([...this.#tokens.values()].map(({ session }) => session));
    this.#tokens.clear();
    for (const session of sessions) await this.account.abandon(session);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    this.account.store.close();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, this.url);
    const body = await bodyOf(request);
    const sql = typeof body["sqlText"] === "string" ? body["sqlText"] : "";
    const fault = this.faults.take({ path: url.pathname, sql });
    if (fault?.kind === "refused") return void request.socket.destroy();
    if (fault?.kind === "status") {
      response.statusCode = fault.status;
      return void response.end();
    }
    if (url.pathname.startsWith("/chunks/")) return this.#chunk(url, response);
    const answer = fault?.kind === "answer" ? fault.answer : await this.#answer(request, url, body);
    if (fault?.kind === "lost") return void request.socket.destroy();
    const bytes = gzipSync(JSON.stringify(answer));
    response.writeHead(200, { "Content-Type": "application/json", "Content-Encoding": "gzip" });
    response.end(bytes);
  }

  async #answer(request: IncomingMessage, url: URL, body: Body): Promise<Body> {
    const { pathname } = url;
    if (pathname === "/session/v1/login-request") return this.#login(url, body);
    if (pathname === "/telemetry/send") return { success: true, data: null };
    const token = this.#tokens.get(/Token="([^"]+)"/.exec(request.headers.authorization ?? "")?.[1] ?? "");
    if (pathname === "/session/token-request") {
      if (token?.master !== true)
        return refusal("390114", "Authentication token has expired. The user must authenticate again.");
      this.renewals += 1;
      return { success: true, data: this.#newTokens(token.session, "ST") };
    }
    if (token === undefined)
      return refusal("390111", "Session no longer exists. New login required to access the service.");
    if (!token.valid) return refusal("390112", "Your session has expired. Please login again.");
    if (pathname === "/session/heartbeat") {
      this.heartbeats += 1;
      return { success: true, data: null };
    }
    if (pathname === "/session") {
      for (const [text, each] of this.#tokens) if (each.session === token.session) this.#tokens.delete(text);
      await this.account.abandon(token.session);
      return { success: true, data: null };
    }
    if (pathname.endsWith("/abort-request")) return { success: true, data: null };
    const [, queries, id, what] = pathname.split("/");
    if (pathname === "/queries/v1/query-request") return this.#query(token.session, body);
    if (queries === "queries" && what === "result") return this.#result(id!);
    if (pathname.startsWith("/monitoring/queries/"))
      return {
        success: true,
        data: { queries: [{ status: this.#results.has(pathname.slice(20)) ? "SUCCESS" : "NO_DATA" }] },
      };
    return refusal("390000", `there is nothing at ${pathname}`);
  }

  /** https://docs.snowflake.com/en/user-guide/key-pair-auth: RS256, `iss` with the SHA-256 of the public key. */
  #login(url: URL, { data }: Body): Body {
    const { LOGIN_NAME, TOKEN, AUTHENTICATOR } = data as Record<string, string | undefined>;
    const user = this.#users.get(LOGIN_NAME?.toUpperCase() ?? "");
    if (AUTHENTICATOR !== "SNOWFLAKE_JWT" || user === undefined || !signedBy(user, LOGIN_NAME!, TOKEN ?? ""))
      return refusal("390144", "JWT token is invalid.");
    this.logins += 1;
    this.#ids += 1;
    const asked = (name: string): string | null => url.searchParams.get(name)?.toUpperCase() ?? null;
    const role = asked("roleName") ?? user.role;
    if (role !== user.role)
      return refusal("390189", `Role '${role}' specified in the connect string does not exist or not authorized.`);
    const session = new Session(this.#ids, LOGIN_NAME!.toUpperCase(), role, {
      warehouse: asked("warehouse"),
      database: asked("databaseName"),
      schema: asked("schemaName"),
    });
    return {
      success: true,
      data: {
        ...this.#newTokens(session, ""),
        parameters: [{ name: "TIMEZONE", value: "UTC" }],
        sessionInfo: { roleName: role },
      },
    };
  }

  #newTokens(session: Session, suffix: "" | "ST"): Body {
    for (const [text, token] of this.#tokens) if (token.session === session) this.#tokens.delete(text);
    this.#ids += 1;
    const [token, masterToken] = [`s-${this.#ids}`, `m-${this.#ids}`];
    this.#tokens.set(token, { session, master: false, valid: true });
    this.#tokens.set(masterToken, { session, master: true, valid: true });
    const times =
      suffix === "ST"
        ? { sessionToken: token, validityInSecondsST: 3600, validityInSecondsMT: 14400 }
        : { token, validityInSeconds: 3600, masterValidityInSeconds: 14400 };
    return { ...times, masterToken, sessionId: session.id };
  }

  async #query(session: Session, body: Body): Promise<Body> {
    this.#ids += 1;
    const id = `01b0-${String(this.#ids).padStart(8, "0")}`;
    const bindings = (body["bindings"] ?? {}) as Record<string, { value: string | null }>;
    const binds = Object.keys(bindings)
      .sort((a, b) => Number(a) - Number(b))
      .map((key) => bindings[key]!.value);
    const options = { binds, describeOnly: body["describeOnly"] === true };
    let answer: Answer | SnowflakeFault;
    try {
      answer = await this.account.execute(session, body["sqlText"] as string, options);
    } catch (error) {
      if (!(error instanceof SnowflakeFault)) throw error;
      answer = error;
    }
    this.#results.set(id, answer);
    if (this.slow || body["asyncExec"] === true)
      return { success: true, code: "333333", data: { queryId: id, getResultUrl: `/queries/${id}/result` } };
    return this.#result(id);
  }

  /** https://docs.snowflake.com/en/user-guide/querying-persisted-results: a result is there for 24 hours, each time with new addresses. */
  #result(id: string): Body {
    const answer = this.#results.get(id);
    if (answer === undefined) return refusal("000709", `Statement ${id} not found`);
    if (answer instanceof SnowflakeFault)
      return {
        success: false,
        code: answer.code,
        message: answer.message,
        data: { errorCode: answer.code, sqlState: answer.sqlState, queryId: id },
      };
    const chunks = [];
    for (let from = INLINE_ROWS; from < answer.rows.length; from += this.chunkRows)
      chunks.push({
        url: `${this.url}/chunks/${id}/${from}/${this.#generation}`,
        rowCount: Math.min(this.chunkRows, answer.rows.length - from),
      });
    return {
      success: true,
      data: {
        queryId: id,
        rowtype: answer.columns.map(({ name, type, nullable }) => ({ name, nullable, ...wireType(type) })),
        rowset: answer.rows.slice(0, INLINE_ROWS),
        total: answer.rows.length,
        returned: answer.rows.length,
        ...(chunks.length > 0 && { chunks, chunkHeaders: {} }),
        parameters: PARAMETERS,
        statementTypeId: answer.statementType,
        version: 1,
        queryResultFormat: "json",
      },
    };
  }

  #chunk(url: URL, response: ServerResponse): void {
    const [, , id, from, generation] = url.pathname.split("/");
    if (Number(generation) < this.#generation) {
      this.chunks.expired += 1;
      response.statusCode = 403;
      response.end();
      return;
    }
    const answer = this.#results.get(id!)!;
    if (answer instanceof SnowflakeFault) throw answer;
    this.chunks.fetched += 1;
    const rows = answer.rows.slice(Number(from), Number(from) + this.chunkRows);
    // Without the outer brackets.
    const bytes = gzipSync(JSON.stringify(rows).slice(1, -1));
    response.writeHead(200, { "Content-Type": "application/octet-stream", "Content-Encoding": "gzip" });
    response.end(bytes);
  }
}

async function bodyOf(request: IncomingMessage): Promise<Body> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const bytes = Buffer.concat(parts);
  if (bytes.length === 0) return {};
  const text = (request.headers["content-encoding"] === "gzip" ? gunzipSync(bytes) : bytes).toString();
  return JSON.parse(text) as Body;
}

function refusal(code: string, message: string): Body {
  return { success: false, code, message, data: { errorCode: code, sqlState: "08001" } };
}

function signedBy({ publicKey }: User, name: string, token: string): boolean {
  const [head, payload, signature] = token.split(".");
  if (head === undefined || payload === undefined || signature === undefined) return false;
  const key = createPublicKey(publicKey);
  const print = createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest("base64");
  const { iss } = JSON.parse(Buffer.from(payload, "base64url").toString()) as { iss: string };
  if (!iss.endsWith(`.${name.toUpperCase()}.SHA256:${print}`)) return false;
  return verify("RSA-SHA256", Buffer.from(`${head}.${payload}`), key, Buffer.from(signature, "base64url"));
}

function wireType(type: string): { type: string; precision?: number; scale?: number; length?: number } {
  const [, name = "", parameters = ""] = /^([A-Z_]+)(?:\(([\d,]+)\))?$/.exec(type) ?? [];
  const [first, second] = parameters.split(",").map(Number);
  switch (name) {
    case "NUMBER":
      return { type: "fixed", precision: first ?? 38, scale: second ?? 0 };
    case "FLOAT":
      return { type: "real" };
    case "VARCHAR":
      return { type: "text", length: first ?? 16_777_216 };
    case "TIMESTAMP_NTZ":
    case "TIMESTAMP_LTZ":
    case "TIMESTAMP_TZ":
    case "TIME":
      return { type: name.toLowerCase(), precision: 0, scale: first ?? 9 };
    default:
      return { type: name.toLowerCase() };
  }
}
