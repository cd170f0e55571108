// What the driver needs to connect. TLS is verified for every host but this machine.
import { readFile } from "node:fs/promises";
import { type Socket, connect, isIP } from "node:net";
import { resolve } from "node:path";
import type { ConnectionOptions } from "mysql2";
import { type ErrorCode, TailraceError } from "../../contracts/errors.ts";
import { readSecret } from "../secret.ts";
import { type Address, addressOf } from "./address.ts";
import type { ConnectionSettings } from "./settings.ts";

const CONNECT_TIMEOUT_MS = 10_000;
const KEEPALIVE_AFTER_MS = 10_000;

export interface ConnectionContext {
  /** Where relative file names start. */
  readonly baseDirectory: string;
  /** What wrong settings, and a file that cannot be read, are called. */
  readonly codes: { readonly config: ErrorCode; readonly tls: ErrorCode };
}

/** Reads the password and the files of `tls`, so that renewed ones are taken by whoever asks again. Throws by `codes`. */
export async function connectionOptions(
  settings: ConnectionSettings,
  context: ConnectionContext,
): Promise<ConnectionOptions> {
  const address = addressOf(settings);
  if ("problem" in address) throw new TailraceError(context.codes.config, address.problem);
  const { host, port, user, password, database } = address;
  const secret = typeof password === "object" ? readSecret(password, "password", context.baseDirectory) : password;
  const ssl = await tlsOptions(address, context);
  return {
    ...(host.startsWith("/") ? { socketPath: host } : { host, port }),
    ...(address.tls.mode === "verify-full" && isIP(host) !== 0 && { stream: () => socketNamed(host, port) }),
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password: await secret }),
    ...(database !== undefined && { database }),
    ...(ssl !== undefined && { ssl }),
    charset: "utf8mb4",
    connectTimeout: CONNECT_TIMEOUT_MS,
    enableKeepAlive: true,
    keepAliveInitialDelay: KEEPALIVE_AFTER_MS,
    connectAttributes: { program_name: "tailrace" },
  } as ConnectionOptions;
}

/** The driver gives TLS no name where the host is an address, and TLS then takes the socket's, or else `localhost`: of anybody. */
function socketNamed(host: string, port: number): Socket {
  const keepAliveInitialDelay = KEEPALIVE_AFTER_MS;
  const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay });
  return Object.assign(socket, { _host: host });
}

async function tlsOptions(address: Address, context: ConnectionContext): Promise<ConnectionOptions["ssl"] | undefined> {
  const { mode, ca, cert, key } = address.tls;
  if (mode === "disable") return undefined;
  return {
    rejectUnauthorized: mode !== "require",
    verifyIdentity: mode === "verify-full",
    ...(ca !== undefined && { ca: await readSetting("ca", ca, context) }),
    ...(cert !== undefined && { cert: await readSetting("cert", cert, context) }),
    ...(key !== undefined && { key: await readSetting("key", key, context) }),
  };
}

async function readSetting(name: string, file: string, { baseDirectory, codes }: ConnectionContext): Promise<string> {
  try {
    return await readFile(resolve(baseDirectory, file), "utf8");
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? "error";
    throw new TailraceError(codes.tls, `\`tls.${name}\`: the file ${file} cannot be read (${why})`);
  }
}
