import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { once } from "node:events";
import type { Draft, LedgerRequest } from "./ledger.ts";
import { type Action, OK } from "./receiver-script.ts";

export interface Exchange {
  readonly entry: Draft<LedgerRequest>;
  readonly response: ServerResponse;
  readonly socket: Socket;
  /** Aborted when the sender has closed the connection. */
  readonly gone: AbortSignal;
  readonly released: () => Promise<void>;
}

type Acknowledged = (row: number) => boolean;
const NONE: Acknowledged = () => false;
const ALL: Acknowledged = () => true;

/** Carries out what the script chose. Resolves, when the request has ended, to which rows were acknowledged. */
export async function perform(action: Action, exchange: Exchange): Promise<Acknowledged> {
  const { response, socket, gone, entry } = exchange;
  if (action.gate !== undefined) await orGone(action.gate.opened, gone);
  if (action.afterMs !== undefined) await delay(action.afterMs, undefined, { signal: gone }).catch(() => {});
  if (gone.aborted) return NONE;
  switch (action.kind) {
    case "hang":
      await orGone(exchange.released(), gone);
      return gone.aborted ? NONE : perform(OK, exchange);
    case "answer":
      return answer(exchange, action.status ?? 200, action.headers ?? {}, action.body ?? "");
    case "rows": {
      const rows = entry.rows;
      const results = action.results.map((result, index) => ({ id: rows[index]?.id ?? null, status: result }));
      const body = action.body ?? JSON.stringify({ results });
      const sent = await answer(exchange, action.status ?? 200, { "content-type": "application/json" }, body);
      return sent === NONE ? NONE : (index) => action.results[index] === "delivered";
    }
    case "redirect":
      return answer(exchange, action.status ?? 302, { location: action.location }, "");
    case "reset-before":
    case "reset-after":
      socket.resetAndDestroy();
      return NONE;
    case "truncated":
      entry.status = 200;
      response.writeHead(200, { "content-type": "application/json", "content-length": "400" });
      response.write('{"results":[', () => socket.destroy());
      await orGone(never(), gone);
      return NONE;
    case "drip":
      return drip(exchange, action.bytes, action.everyMs);
    case "endless":
      await endless(exchange);
      return NONE;
    case "huge-headers":
      entry.status = 200;
      socket.write(
        `HTTP/1.1 200 OK\r\nx-filler: ${"a".repeat(action.bytes ?? 200_000)}\r\ncontent-length: 2\r\n\r\nok`,
      );
      socket.end();
      await orGone(never(), gone);
      return NONE;
  }
}

async function answer(
  exchange: Exchange,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
): Promise<Acknowledged> {
  const { entry, response, gone } = exchange;
  entry.status = status;
  entry.retryAfterMs = retryAfter(headers);
  response.writeHead(status, { "content-length": String(Buffer.byteLength(body)), ...headers });
  // Noted before the bytes leave: the sender cannot have acted on the answer earlier than this.
  entry.answeredNs = process.hrtime.bigint();
  entry.endedNs = entry.answeredNs;
  response.end(body);
  if (!response.writableFinished) await orGone(once(response, "finish"), gone);
  if (!response.writableFinished) {
    entry.answeredNs = null;
    return NONE;
  }
  return status >= 200 && status < 300 ? ALL : NONE;
}

async function drip(exchange: Exchange, bytes: number, everyMs: number): Promise<Acknowledged> {
  const { entry, response, gone } = exchange;
  entry.status = 200;
  response.writeHead(200, { "content-type": "text/plain", "content-length": String(bytes) });
  response.flushHeaders();
  for (let sent = 0; sent < bytes; sent += 1) {
    await delay(everyMs, undefined, { signal: gone }).catch(() => {});
    if (gone.aborted) return NONE;
    if (sent === bytes - 1) {
      entry.answeredNs = process.hrtime.bigint();
      entry.endedNs = entry.answeredNs;
    }
    response.write(".");
  }
  response.end();
  return ALL;
}

async function endless({ entry, response, gone }: Exchange): Promise<void> {
  entry.status = 200;
  response.writeHead(200, { "content-type": "text/plain" });
  const chunk = Buffer.alloc(16_384, ".");
  while (!gone.aborted) {
    if (!response.write(chunk)) await orGone(once(response, "drain"), gone);
    // Without this a sender that reads as fast as we write would starve the event loop.
    else await orGone(new Promise(setImmediate), gone);
  }
}

function retryAfter(headers: Readonly<Record<string, string>>): number | null {
  const text = headers["retry-after"] ?? headers["Retry-After"];
  if (text === undefined) return null;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : Math.max(0, at - Date.now());
}

async function orGone(event: Promise<unknown>, gone: AbortSignal): Promise<void> {
  if (gone.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = (): void => resolve();
  gone.addEventListener("abort", stop, { once: true });
  try {
    await Promise.race([event.then(stop, stop), promise]);
  } finally {
    gone.removeEventListener("abort", stop);
  }
}

function never(): Promise<void> {
  return new Promise(() => {});
}
