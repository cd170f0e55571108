// A server that real clients of PostgreSQL speak to: startup, passwords, simple and extended queries, cancellation. What a statement means is its
// engine's business. https://www.postgresql.org/docs/current/protocol-flow.html
import { Buffer } from "node:buffer";
import { EventEmitter, once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type Answer, dataRow, errorResponse, int, message, rowDescription, text, WireRefusal } from "./messages.ts";

export interface WireSession {
  /** Aborted when the client is gone or cancels. */
  execute(sql: string, signal: AbortSignal): Promise<Answer>;
  close(): void;
}

export interface WireEngine {
  open(): WireSession;
}

const SSL_REQUEST = 80877103;
const CANCEL_REQUEST = 80877102;
export const LOGIN = { user: "tailrace", password: "secret", database: "materialize" };

export class WireServer implements AsyncDisposable {
  /** How many have logged in until now. */
  logins = 0;
  /** The next so many statements: the connection breaks instead. */
  unavailable = 0;
  /** The next so many statements are run, and the connection breaks instead of an answer. */
  lost = 0;
  readonly statements: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Map<number, { readonly socket: Socket; stop: AbortController }>();
  readonly #ended = new EventEmitter();
  #ids = 0;

  private constructor(engine: WireEngine) {
    this.#server = createServer((socket) => this.#serve(socket, engine.open()));
  }

  static async start(engine: WireEngine): Promise<WireServer> {
    const started = new WireServer(engine);
    started.#server.listen(0, "127.0.0.1");
    await once(started.#server, "listening");
    return started;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get sessions(): number {
    return this.#sockets.size;
  }

  /** Waits for `done`, which is looked at whenever a session ends. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) await once(this.#ended, "end");
  }

  endSessions(): void {
    for (const { socket } of this.#sockets.values()) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.endSessions();
    this.#server.close();
    await once(this.#server, "close");
  }

  #serve(socket: Socket, session: WireSession): void {
    const id = (this.#ids += 1);
    const own = { socket, stop: new AbortController() };
    this.#sockets.set(id, own);
    // Messages are small, and many.
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#sockets.delete(id);
      own.stop.abort();
      session.close();
      this.#ended.emit("end");
    });
    const client = new Client(this, id, own, session);
    let queue = Promise.resolve();
    let buffered: Buffer = Buffer.alloc(0);
    socket.on("data", (data) => {
      buffered = Buffer.concat([buffered, data]);
      for (;;) {
        const head = client.isStarted ? 1 : 0;
        if (buffered.length < head + 4) return;
        const length = buffered.readInt32BE(head) + head;
        if (buffered.length < length) return;
        const type = head === 1 ? String.fromCharCode(buffered[0]!) : "";
        const body = buffered.subarray(head + 4, length);
        buffered = buffered.subarray(length);
        if (type === "") client.startup(body);
        else queue = queue.then(() => client.take(type, body)).catch(() => void socket.destroy());
      }
    });
  }

  cancel(id: number): void {
    this.#sockets.get(id)?.stop.abort();
  }
}

class Client {
  isStarted = false;
  readonly #server: WireServer;
  readonly #id: number;
  readonly #own: { readonly socket: Socket; stop: AbortController };
  readonly #session: WireSession;
  readonly #prepared = new Map<string, string>();
  #portal = "";
  #answer: Answer | null = null;
  /** After an error of an extended query everything is skipped until Sync. */
  #skips = false;

  constructor(
    server: WireServer,
    id: number,
    own: { readonly socket: Socket; stop: AbortController },
    session: WireSession,
  ) {
    this.#server = server;
    this.#id = id;
    this.#own = own;
    this.#session = session;
  }

  startup(body: Buffer): void {
    const code = body.readInt32BE(0);
    if (code === SSL_REQUEST) return void this.#own.socket.write("N");
    if (code === CANCEL_REQUEST) {
      this.#server.cancel(body.readInt32BE(4));
      return void this.#own.socket.end();
    }
    this.isStarted = true;
    // AuthenticationCleartextPassword
    this.#send(message("R", int(3, 4)));
  }

  async take(type: string, body: Buffer): Promise<void> {
    if (type === "p") return this.#login(body.subarray(0, -1).toString());
    if (type === "X") return void this.#own.socket.end();
    if (type === "Q") {
      try {
        this.#answered(await this.#run(body.subarray(0, -1).toString()), true);
      } catch (error) {
        this.#send(errorResponse(error));
      }
      return this.#ready();
    }
    if (type === "S") {
      this.#skips = false;
      return this.#ready();
    }
    if (this.#skips) return;
    try {
      await this.#extended(type, body);
    } catch (error) {
      this.#skips = true;
      this.#send(errorResponse(error));
    }
  }

  #login(password: string): void {
    if (password !== LOGIN.password) {
      this.#send(errorResponse(new WireRefusal("28P01", "invalid password")));
      return void this.#own.socket.end();
    }
    this.#server.logins += 1;
    this.#send(message("R", int(0, 4)));
    this.#send(message("K", Buffer.concat([int(this.#id, 4), int(0, 4)])));
    this.#ready();
  }

  async #extended(type: string, body: Buffer): Promise<void> {
    const [first, second] = body.toString("latin1").split("\0");
    if (type === "P") {
      const from = first!.length + 1;
      this.#prepared.set(first!, body.subarray(from, body.indexOf(0, from)).toString());
      this.#send(message("1"));
    } else if (type === "B") {
      const sql = this.#prepared.get(second!) ?? "";
      this.#portal = bound(sql, parametersOf(body, first!.length + second!.length + 2));
      this.#answer = null;
      this.#send(message("2"));
    } else if (type === "D") {
      this.#answer = await this.#run(this.#portal);
      this.#send(this.#answer.fields.length === 0 ? message("n") : rowDescription(this.#answer.fields));
    } else if (type === "E") {
      this.#answered(this.#answer ?? (await this.#run(this.#portal)), false);
    } else if (type === "C") this.#send(message("3"));
  }

  async #run(sql: string): Promise<Answer> {
    const server = this.#server;
    server.statements.push(sql);
    if (server.unavailable > 0) {
      server.unavailable -= 1;
      this.#own.socket.destroy();
      throw new WireRefusal("57P01", "unavailable");
    }
    if (this.#own.stop.signal.aborted) this.#own.stop = new AbortController();
    const answer = await this.#session.execute(sql, this.#own.stop.signal);
    if (server.lost > 0) {
      server.lost -= 1;
      this.#own.socket.destroy();
    }
    return answer;
  }

  #answered({ fields, rows, tag }: Answer, describes: boolean): void {
    if (describes && fields.length > 0) this.#send(rowDescription(fields));
    for (const row of rows) this.#send(dataRow(row));
    this.#send(message("C", text(tag)));
  }

  #ready(): void {
    this.#send(message("Z", Buffer.from("I")));
  }

  #send(bytes: Buffer): void {
    if (!this.#own.socket.destroyed) this.#own.socket.write(bytes);
  }
}

/** Text format only. */
function parametersOf(body: Buffer, from: number): (string | null)[] {
  let at = from;
  const next = (bytes: 2 | 4): number => {
    const value = body.readIntBE(at, bytes);
    at += bytes;
    return value;
  };
  const formats = next(2);
  at += formats * 2;
  return Array.from({ length: next(2) }, () => {
    const length = next(4);
    if (length < 0) return null;
    at += length;
    return body.subarray(at - length, at).toString();
  });
}

function bound(sql: string, parameters: readonly (string | null)[]): string {
  return sql.replaceAll(/\$(\d+)/g, (_, place: string) => {
    const value = parameters[Number(place) - 1] ?? null;
    return value === null ? "NULL" : `'${value.replaceAll("'", "''")}'`;
  });
}
