import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import process from "node:process";
import { gunzipSync } from "node:zlib";
import { envelopeReader, type ReceivedRow, type RequestHead, type RowReader } from "./envelope.ts";
import { type Draft, type Ledger, LedgerBook, type LedgerRequest } from "./ledger.ts";
import { RESTART } from "./ledger-order.ts";
import { perform } from "./receiver-answers.ts";
import { type Gate, gate, OK, type Script, type ScriptRequest, type Action } from "./receiver-script.ts";

export interface ReceiverOptions {
  /** A whole script, or only its `answer`. Default: 200 to everything. */
  readonly script?: Script | Script["answer"] | undefined;
  /** `memory`, or the path of a file to append to. */
  readonly ledger?: "memory" | (string & {}) | undefined;
  readonly rows?: RowReader | undefined;
  /** Whether bodies are kept; default: only in memory. Their SHA-1 always is. */
  readonly keepBodies?: boolean | undefined;
  /** Where the sender says which attempt it is. */
  readonly attemptHeader?: string | undefined;
}

/** Running sums, for {@link Receiver.until}. */
export interface ReceiverCounts {
  readonly requests: number;
  /** Rows of the bodies that were read. */
  readonly rows: number;
  readonly acknowledgedRows: number;
  readonly inFlight: number;
  /** Connections that are open now. */
  readonly connections: number;
}

/** A scripted HTTP receiver on 127.0.0.1 that notes everything it sees. */
export interface Receiver extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, no slash at the end; any path is served. */
  readonly url: string;
  readonly ledger: Ledger;
  readonly counts: ReceiverCounts;
  /** The requests that have arrived so far; empty when the ledger is kept in a file. */
  requests(): LedgerRequest[];
  /** Changes the script for the requests that arrive from now on. */
  script(script: Script | Script["answer"]): void;
  /** Ends every hang, now and (until the next `hold`) later. */
  release(): void;
  /** Makes hangs hang again after a {@link release}. */
  hold(): void;
  /** Resolves once `predicate` holds; asked at every arrival, answer and end. Rejects after `timeoutMs`. */
  until(predicate: (receiver: Receiver) => boolean, timeoutMs?: number): Promise<void>;
  /**
   * To be called when the sender is dead and before the next one starts: waits until everything that the dead one sent has been
   * read, then marks the restart in the ledger. A bare mark could come before rows that still lie in a socket's buffer.
   */
  restart(): Promise<void>;
  /** Stops listening and resets every connection: the destination is down. */
  down(): Promise<void>;
  /** Listens again, on the same port. */
  up(): Promise<void>;
}

export async function startReceiver(options: ReceiverOptions = {}): Promise<Receiver> {
  const book = new LedgerBook(options.ledger ?? "memory");
  const readRows = options.rows ?? envelopeReader();
  const keepBodies = options.keepBodies ?? book.inMemory;
  const attemptHeader = (options.attemptHeader ?? "tailrace-attempt").toLowerCase();
  let script = scriptOf(options.script ?? (() => OK));
  let holding: Gate = gate();
  const counts = { requests: 0, rows: 0, acknowledgedRows: 0, inFlight: 0, connections: 0 };
  const waiters = new Set<() => void>();
  const changed = (): void => {
    for (const waiter of waiters) waiter();
  };

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const arrivedNs = process.hrtime.bigint();
    const head = headOf(request);
    const seq = counts.requests;
    counts.requests += 1;
    counts.inFlight += 1;
    const attempt = head.headers[attemptHeader];
    const entry: Draft<LedgerRequest> = {
      ...head,
      kind: "request",
      seq,
      arrivedNs,
      bodyEndNs: null,
      attempt: attempt === undefined ? null : Number(attempt),
      bodyBytes: 0,
      bodySha1: null,
      body: null,
      rows: [],
      action: "none",
      status: null,
      answeredNs: null,
      endedNs: null,
      retryAfterMs: null,
    };
    book.arrived(entry);
    const socket = request.socket;
    // One socket serves many requests in turn: this request's end is whichever comes first.
    const gone = new AbortController();
    const lost = (): void => gone.abort();
    socket.once("close", lost);
    try {
      const early = script.head?.({ ...head, seq }) ?? null;
      changed();
      let action: Action;
      if (early?.kind === "reset-before") action = early;
      else {
        const body = await bodyOf(request);
        entry.bodyEndNs = process.hrtime.bigint();
        const rows = readRows(body, head);
        entry.bodyBytes = Buffer.byteLength(body);
        entry.bodySha1 = createHash("sha1").update(body).digest("hex");
        if (keepBodies) entry.body = body;
        entry.rows = rows.map((row) => ({ ...row, acknowledged: false }));
        counts.rows += rows.length;
        action = early ?? (await script.answer(scriptRequest(entry, body, rows)));
        entry.action = action.kind;
        changed();
      }
      entry.action = action.kind;
      const released = (): Promise<void> => holding.opened;
      const acknowledged = await perform(action, { entry, response, socket, gone: gone.signal, released });
      entry.rows = entry.rows.map((row, index) => ({ ...row, acknowledged: acknowledged(index) }));
      counts.acknowledgedRows += entry.rows.reduce((sum, row) => sum + (row.acknowledged ? 1 : 0), 0);
    } catch (error) {
      // The sender went away in the middle of its body; anything else is a defect of the test's own script.
      if (!gone.signal.aborted && !request.destroyed) {
        entry.action = `error: ${String(error)}`;
        socket.resetAndDestroy();
      } else if (entry.action === "none") entry.action = "sender-gone";
    } finally {
      socket.removeListener("close", lost);
      entry.endedNs ??= process.hrtime.bigint();
      counts.inFlight -= 1;
      book.ended(entry);
      changed();
    }
  }

  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => void serve(request, response));
  server.on("clientError", (_error, socket) => socket.destroy());
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    counts.connections += 1;
    socket.on("error", () => {});
    socket.once("close", () => {
      sockets.delete(socket);
      counts.connections -= 1;
      changed();
    });
  });
  const listen = async (port: number): Promise<void> => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const down = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    for (const socket of sockets) socket.resetAndDestroy();
    await closed;
  };

  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}`,
    ledger: book,
    counts,
    requests: () => book.entries.filter((entry) => entry.kind === "request"),
    script: (next) => {
      script = scriptOf(next);
    },
    release: () => holding.open(),
    hold: () => {
      holding = gate();
    },
    until: (predicate, timeoutMs = 30_000) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const check = (): void => {
        try {
          if (predicate(receiver)) resolve();
        } catch (error) {
          reject(error);
        }
      };
      const timer = setTimeout(() => {
        reject(new Error(`not seen within ${timeoutMs} ms: ${String(predicate)}; ${JSON.stringify(counts)}`));
      }, timeoutMs);
      waiters.add(check);
      check();
      return promise.finally(() => {
        clearTimeout(timer);
        waiters.delete(check);
      });
    },
    restart: async () => {
      // A connection that the system has taken, and we have not yet, is taken in the next turns.
      for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate);
      await receiver.until(() => counts.connections === 0 && counts.inFlight === 0);
      book.mark(RESTART);
    },
    down,
    up: () => listen(port),
    [Symbol.asyncDispose]: async () => {
      await down();
      await receiver.until(() => counts.inFlight === 0, 5000);
      await book.close();
    },
  };
  return receiver;
}

function scriptOf(script: Script | Script["answer"]): Script {
  return typeof script === "function" ? { answer: script } : script;
}

function headOf(request: IncomingMessage): RequestHead {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return { method: request.method ?? "", path: request.url ?? "", headers };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  return (request.headers["content-encoding"] === "gzip" ? gunzipSync(bytes) : bytes).toString("utf8");
}

function scriptRequest(entry: LedgerRequest, body: string, rows: readonly ReceivedRow[]): ScriptRequest {
  const { method, path, headers, seq, attempt } = entry;
  return { method, path, headers, seq, attempt, rows, body };
}
