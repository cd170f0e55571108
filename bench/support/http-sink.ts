// An HTTP receiver for measuring: as little work a request as can be, so that what is measured is the sender.
// It understands `content-length` and keep-alive, nothing else.
import { createServer, type AddressInfo, type Socket } from "node:net";
import process from "node:process";

/** How the rows of a body are counted. */
export type RowCount =
  /** Line breaks; a last line without one counts too. */
  | { readonly kind: "lines" }
  /** How often a text occurs, such as `"position":` in our envelope. */
  | { readonly kind: "marker"; readonly text: string }
  /** The sender says it in a header (name in lower case). */
  | { readonly kind: "header"; readonly name: string };

export interface SinkOptions {
  /** Default: lines. */
  readonly rows?: RowCount | undefined;
  /** Keep each request's first-byte time and body, for latencies. Default: only the sums. */
  readonly keepRequests?: boolean | undefined;
  /** Answers are held back so that no more than this are taken; null: unlimited. */
  readonly rowsPerSecond?: number | null | undefined;
}

export interface SinkStats {
  readonly requests: number;
  readonly rows: number;
  readonly bodyBytes: number;
  readonly connections: number;
  /** `process.hrtime.bigint()` of the first request's first byte and of the latest answer; null before the first. */
  readonly firstByteNs: bigint | null;
  readonly lastAnswerNs: bigint | null;
}

export interface SinkRequest {
  /** `process.hrtime.bigint()`: on Linux the same clock in every process. */
  readonly firstByteNs: bigint;
  /** When all of it was there. */
  readonly wholeNs: bigint;
  readonly body: string;
}

export interface HttpSink extends AsyncDisposable {
  readonly url: string;
  stats(): Promise<SinkStats>;
  /** The requests kept since the last call. */
  takeRequests(): Promise<readonly SinkRequest[]>;
  throttle(rowsPerSecond: number | null): Promise<void>;
  /** Resolves with the stats once `rows` rows have come; rejects after `timeoutMs`. */
  untilRows(rows: number, timeoutMs: number): Promise<SinkStats>;
}

const OK = Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
const LENGTH_REQUIRED = "HTTP/1.1 411 Length Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const HEAD_END = Buffer.from("\r\n\r\n");
const LINE_BREAK = 10;

export async function startHttpSink(options: SinkOptions = {}): Promise<HttpSink> {
  const counting = options.rows ?? { kind: "lines" };
  const sums = {
    requests: 0,
    rows: 0,
    bodyBytes: 0,
    connections: 0,
    firstByteNs: null as bigint | null,
    lastAnswerNs: null as bigint | null,
  };
  let rowsPerSecond = options.rowsPerSecond ?? null;
  let freeAtMs = 0;
  let kept: SinkRequest[] = [];
  const waiters = new Set<() => void>();
  const sockets = new Set<Socket>();

  function finish(socket: Socket, rows: number, bodyBytes: number): void {
    sums.requests += 1;
    sums.rows += rows;
    sums.bodyBytes += bodyBytes;
    if (rowsPerSecond === null) answer(socket);
    else {
      const nowMs = performance.now();
      freeAtMs = Math.max(nowMs, freeAtMs) + (rows * 1000) / rowsPerSecond;
      setTimeout(answer, freeAtMs - nowMs, socket);
    }
    if (waiters.size > 0) for (const waiter of waiters) waiter();
  }
  function answer(socket: Socket): void {
    sums.lastAnswerNs = process.hrtime.bigint();
    if (!socket.destroyed) socket.write(OK);
  }

  const server = createServer({ noDelay: true }, (socket) => {
    sums.connections += 1;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
    let firstByteNs: bigint | null = null;
    let head: Buffer | null = null;
    let left = 0;
    let length = 0;
    let rows = 0;
    let counter = rowCounter(counting);
    let body: Buffer[] = [];

    socket.on("data", (chunk) => {
      let at = 0;
      while (at < chunk.length) {
        if (left === 0) {
          if (firstByteNs === null) {
            firstByteNs = process.hrtime.bigint();
            sums.firstByteNs ??= firstByteNs;
          }
          const bytes: Buffer = head === null ? chunk.subarray(at) : Buffer.concat([head, chunk.subarray(at)]);
          const end = bytes.indexOf(HEAD_END);
          if (end === -1) {
            head = bytes;
            return;
          }
          at += end + HEAD_END.length - (head?.length ?? 0);
          head = null;
          const text = bytes.toString("latin1", 0, end).toLowerCase();
          const announced = headerValue(text, "content-length");
          if (announced === null) {
            socket.end(LENGTH_REQUIRED);
            return;
          }
          length = left = Number(announced);
          rows = counting.kind === "header" ? Number(headerValue(text, counting.name) ?? 0) : 0;
          counter = rowCounter(counting);
        }
        const part = chunk.subarray(at, at + left);
        at += part.length;
        left -= part.length;
        rows += counter(part, left === 0);
        if (options.keepRequests === true) body.push(part);
        if (left > 0) return;
        if (options.keepRequests === true) {
          const wholeNs = process.hrtime.bigint();
          kept.push({ firstByteNs: firstByteNs as bigint, wholeNs, body: Buffer.concat(body).toString("utf8") });
          body = [];
        }
        firstByteNs = null;
        finish(socket, rows, length);
      }
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    stats: () => Promise.resolve({ ...sums }),
    takeRequests: () => {
      const taken = kept;
      kept = [];
      return Promise.resolve(taken);
    },
    throttle: (limit) => {
      rowsPerSecond = limit;
      freeAtMs = 0;
      return Promise.resolve();
    },
    untilRows: (wanted, timeoutMs) => {
      const { promise, resolve, reject } = Promise.withResolvers<SinkStats>();
      const check = (): void => {
        if (sums.rows >= wanted) resolve({ ...sums });
      };
      const timer = setTimeout(() => {
        reject(new Error(`${sums.rows} of ${wanted} rows within ${timeoutMs} ms`));
      }, timeoutMs);
      waiters.add(check);
      check();
      return promise.finally(() => {
        clearTimeout(timer);
        waiters.delete(check);
      });
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

/** `head` in lower case, without its closing blank line. */
function headerValue(head: string, name: string): string | null {
  const start = head.indexOf(`\r\n${name}:`);
  if (start === -1) return null;
  const from = start + name.length + 3;
  const end = head.indexOf("\r\n", from);
  return head.slice(from, end === -1 ? undefined : end).trim();
}

/** Counts over the parts of one body; a marker may lie across two parts. */
function rowCounter(counting: RowCount): (part: Buffer, last: boolean) => number {
  if (counting.kind === "header") return () => 0;
  if (counting.kind === "lines") {
    return (part, last) => {
      let rows = 0;
      for (let at = part.indexOf(LINE_BREAK); at !== -1; at = part.indexOf(LINE_BREAK, at + 1)) rows += 1;
      return last && part.length > 0 && part[part.length - 1] !== LINE_BREAK ? rows + 1 : rows;
    };
  }
  const marker = Buffer.from(counting.text);
  let carry = Buffer.alloc(0);
  return (part) => {
    const bytes = carry.length === 0 ? part : Buffer.concat([carry, part]);
    let rows = 0;
    let after = 0;
    for (let at = bytes.indexOf(marker); at !== -1; at = bytes.indexOf(marker, after)) {
      rows += 1;
      after = at + marker.length;
    }
    carry = Buffer.from(bytes.subarray(Math.max(after, bytes.length - marker.length + 1)));
    return rows;
  };
}
