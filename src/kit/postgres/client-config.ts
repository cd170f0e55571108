// What the driver needs to connect. TLS is verified for every host but this machine.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type pg from "pg";
import { type ErrorCode, TailraceError } from "../../contracts/errors.ts";
import { readSecret } from "../secret.ts";
import { type Address, addressOf } from "./address.ts";
import type { ConnectionSettings } from "./settings.ts";

/** Every value arrives as the text that the server sent. */
export const RAW_TEXT = { getTypeParser: () => (text: unknown) => text } as unknown as pg.CustomTypesConfig;

const CONNECT_TIMEOUT_MS = 10_000;
const KEEPALIVE_AFTER_MS = 10_000;

export interface ClientConfigOptions {
  /** Where relative file names start. */
  readonly baseDirectory: string;
  /** What wrong settings, and a file that cannot be read, are called. */
  readonly codes: { readonly config: ErrorCode; readonly tls: ErrorCode };
}

/** Reads the files of `tls`, so that a renewed certificate is taken by whoever asks again. Throws by `codes`. */
export function clientConfig(settings: ConnectionSettings, options: ClientConfigOptions): pg.ClientConfig {
  const address = addressOf(settings);
  if ("problem" in address) throw new TailraceError(options.codes.config, address.problem);
  const { host, port, user, password, database } = address;
  return {
    host,
    port,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password: passwordOf(password, options) }),
    ...(database === undefined ? {} : { database }),
    ssl: tlsOptions(address, options),
    sslnegotiation: address.tls.direct ? "direct" : "postgres",
    enableChannelBinding: address.channelBinding,
    application_name: "tailrace",
    types: RAW_TEXT,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_AFTER_MS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  };
}

function passwordOf(password: NonNullable<Address["password"]>, { baseDirectory }: ClientConfigOptions) {
  return typeof password === "string" ? password : () => readSecret(password, "password", baseDirectory);
}

function tlsOptions(address: Address, options: ClientConfigOptions): pg.ClientConfig["ssl"] {
  const { mode, ca, cert, key } = address.tls;
  if (mode === "disable") return false;
  return {
    rejectUnauthorized: mode !== "require",
    // verify-ca: the chain is verified, the name is not.
    ...(mode === "verify-ca" ? { checkServerIdentity: () => undefined } : {}),
    ...(ca === undefined ? {} : { ca: readSetting("ca", ca, options) }),
    ...(cert === undefined ? {} : { cert: readSetting("cert", cert, options) }),
    ...(key === undefined ? {} : { key: readSetting("key", key, options) }),
  };
}

function readSetting(name: string, file: string, { baseDirectory, codes }: ClientConfigOptions): string {
  try {
    return readFileSync(resolve(baseDirectory, file), "utf8");
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? "error";
    throw new TailraceError(codes.tls, `\`tls.${name}\`: the file ${file} cannot be read (${why})`);
  }
}
