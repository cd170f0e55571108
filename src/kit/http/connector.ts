import type { LookupOptions } from "node:dns";
import type { LookupFunction } from "node:net";
import { isIP } from "node:net";
import { buildConnector } from "undici";
import type { AddressGuard } from "../address-guard.ts";

type Connector = buildConnector.connector;

/** PEM texts. Certificates are always verified; `ca` replaces the usual authorities. */
export interface TlsOptions {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/**
 * Connects to nothing but addresses that the guard permits. HTTP/1.1 only: one request at a time a connection.
 * `tlsNow`: the same object while nothing has changed.
 */
export function guardedConnector(guard: AddressGuard, tlsNow: () => TlsOptions, timeoutMs: number): Connector {
  let tls = tlsNow();
  const byPort = new Map<number, Connector>();
  const connectorFor = (port: number): Connector => {
    const now = tlsNow();
    if (now !== tls) byPort.clear();
    tls = now;
    const { ca, cert, key } = tls;
    let connector = byPort.get(port);
    if (connector === undefined) {
      connector = buildConnector({
        ...(ca === undefined ? {} : { ca }),
        ...(cert === undefined ? {} : { cert }),
        ...(key === undefined ? {} : { key }),
        allowH2: false,
        timeout: timeoutMs,
        lookup: guardedLookup(guard, port),
      });
      // A row can name the port when the host is templated; the memory for it stays bounded.
      if (byPort.size < 64) byPort.set(port, connector);
    }
    return connector;
  };
  return (options, callback) => {
    const port = Number(options.port) || (options.protocol === "https:" ? 443 : 80);
    try {
      // An address is connected to without a lookup, so it is checked here.
      if (isIP(options.hostname) !== 0) guard.assert(options.hostname, port, options.hostname);
    } catch (error) {
      callback(error as Error, null);
      return;
    }
    connectorFor(port)(options, callback);
  };
}

function guardedLookup(guard: AddressGuard, port: number): LookupFunction {
  return (hostname: string, options: LookupOptions, callback) => {
    const resolved = guard.resolve(hostname, port);
    // The callback is node:net's; what it throws must not become a rejection of the lookup.
    /* oxlint-disable promise/no-callback-in-promise, promise/always-return, promise/prefer-await-to-then */
    resolved.then(
      (addresses) => {
        const { family, all } = options;
        const wanted = addresses.filter((one) => (family !== 4 && family !== 6) || one.family === family);
        const first = wanted[0];
        if (first === undefined) callback(Object.assign(new Error("no address"), { code: "ENOTFOUND" }), []);
        else if (all === true) callback(null, wanted);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, []),
    );
    /* oxlint-enable */
  };
}
