import type { Socket } from "node:net";
import type { AddressGuard } from "../address-guard.ts";
import { isPublicAddress } from "../address-guard.ts";
import { guardedConnector } from "./connector.ts";
import type { TlsOptions } from "./connector.ts";
import { requestFailure } from "./failure.ts";

/**
 * Opens a connection (TCP, and TLS for `https:`) and closes it without a request.
 *
 * @returns whether the other side is on this machine or a private network.
 * @throws TailraceError `destination.unreachable` or `destination.blocked_address`; `signal.reason` when aborted.
 */
export async function probeConnection(
  origin: string,
  guard: AddressGuard,
  tls: TlsOptions,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<{ readonly local: boolean }> {
  signal.throwIfAborted();
  const url = new URL(origin);
  const hostname = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const connect = guardedConnector(guard, () => tls, timeoutMs);
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const onAbort = () => reject(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    connect({ hostname, host: url.host, protocol: url.protocol, port: url.port }, (error, socket) => {
      if (error !== null) reject(requestFailure(error, false, origin, true));
      else if (signal.aborted) socket.destroy();
      else resolve(socket);
    });
    const socket = await promise;
    const local = !isPublicAddress(socket.remoteAddress ?? "");
    socket.destroy();
    return { local };
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
