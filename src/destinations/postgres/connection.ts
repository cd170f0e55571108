// How to reach a PostgreSQL server: settings, the URL, TLS. TLS is on and verified unless the host is this machine.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type pg from "pg";
import * as z from "zod";
import { TailraceError } from "../../contracts/errors.ts";

const TLS_MODES = ["verify-full", "verify-ca", "require", "off"] as const;
export type TlsMode = (typeof TLS_MODES)[number];

const tls = z.union([
  z.enum(TLS_MODES),
  z.strictObject({
    mode: z
      .enum(TLS_MODES)
      .optional()
      .meta({ description: "default: verify-full for remote hosts, off for this machine" }),
    ca: z.string().optional().meta({ description: "file with the certificate authority (PEM)" }),
    cert: z.string().optional().meta({ description: "file with the client's certificate (PEM)" }),
    key: z.string().optional().meta({ description: "file with the client's key (PEM)" }),
  }),
]);

export const connectionFields = {
  url: z.string().optional().meta({ secret: true, description: "postgres://user:password@host:port/database" }),
  host: z.string().optional().meta({ description: "host name, address, or the folder of a Unix socket" }),
  port: z.int().min(1).max(65535).optional().meta({ description: "port; default 5432" }),
  user: z.string().optional().meta({ description: "role to connect as" }),
  password: z.string().optional().meta({ secret: true, description: "the role's password" }),
  database: z.string().optional().meta({ description: "database to write to; default: named like the user" }),
  tls: tls.optional().meta({ description: "TLS to the database; the word alone is its mode" }),
};
const connectionShape = z.object(connectionFields);
export type ConnectionSettings = z.output<typeof connectionShape>;

interface Address {
  readonly host: string;
  readonly port: number;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  readonly tlsMode: TlsMode | undefined;
  readonly ca: string | undefined;
  readonly channelBinding: boolean;
}

const SSLMODES: Readonly<Record<string, TlsMode>> = {
  disable: "off",
  require: "require",
  "verify-ca": "verify-ca",
  "verify-full": "verify-full",
};

/** What is wrong with the connection settings, in words without the settings' values; null when nothing is. */
export function connectionProblem(settings: ConnectionSettings): string | null {
  try {
    addressOf(settings);
    return null;
  } catch (error) {
    return error instanceof TailraceError ? error.message : "the settings of the connection cannot be read";
  }
}

function addressOf(settings: ConnectionSettings): Address {
  if (settings.url === undefined) {
    if (settings.host === undefined) throw wrong("give `url`, or `host` with `user`, `password` and `database`");
    return {
      host: settings.host,
      port: settings.port ?? 5432,
      user: settings.user,
      password: settings.password,
      database: settings.database,
      tlsMode: undefined,
      ca: undefined,
      channelBinding: false,
    };
  }
  // The text of the URL is a secret: no part of it goes into a message.
  if (!URL.canParse(settings.url))
    throw wrong("`url` is not a URL; reserved characters in a password must be %-encoded");
  const url = new URL(settings.url);
  if (url.protocol !== "postgres:" && url.protocol !== "postgresql:") throw wrong("`url` must begin with postgres://");
  const { tlsMode, ca, channelBinding, host } = parametersOf(url);
  return {
    host: settings.host ?? host ?? decode(url.hostname).replace(/^\[(.*)\]$/, "$1"),
    port: settings.port ?? (url.port === "" ? 5432 : Number(url.port)),
    user: settings.user ?? (decode(url.username) || undefined),
    password: settings.password ?? (decode(url.password) || undefined),
    database: settings.database ?? (decode(url.pathname.slice(1)) || undefined),
    tlsMode,
    ca,
    channelBinding,
  };
}

function parametersOf(url: URL): { tlsMode?: TlsMode; ca?: string; host?: string; channelBinding: boolean } {
  const found: { tlsMode?: TlsMode; ca?: string; host?: string; channelBinding: boolean } = { channelBinding: false };
  for (const [name, value] of url.searchParams) {
    if (name === "sslmode") {
      const mode = SSLMODES[value];
      if (mode === undefined) {
        throw wrong(
          "`sslmode` in `url` must be disable, require, verify-ca or verify-full: there is no silent fallback to plain text",
        );
      }
      found.tlsMode = mode;
    } else if (name === "sslrootcert") found.ca = value;
    else if (name === "host") found.host = value;
    else if (name === "channel_binding") found.channelBinding = value === "require";
    else throw wrong(`\`url\` has the parameter \`${name.slice(0, 40)}\`, which is not known here`);
  }
  return found;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong("`url` has a % that does not begin an encoded character; write it as %25");
  }
}

/** The machine itself, or a socket on it. */
export function isLoopback(host: string): boolean {
  return (
    host === "" || host === "localhost" || host === "::1" || host.startsWith("/") || /^127(\.\d{1,3}){3}$/.test(host)
  );
}

/** `host:port/database`, for messages. */
export function describeConnection(settings: ConnectionSettings): string {
  const { host, port, database } = addressOf(settings);
  return `${host}:${port}/${database ?? ""}`;
}

/** What `pg` needs. Relative file names are relative to `baseDirectory`. Throws `destination.config`. */
export function clientConfig(settings: ConnectionSettings, baseDirectory: string): pg.ClientConfig {
  const address = addressOf(settings);
  return {
    host: address.host,
    port: address.port,
    ...(address.user === undefined ? {} : { user: address.user }),
    ...(address.password === undefined ? {} : { password: address.password }),
    ...(address.database === undefined ? {} : { database: address.database }),
    enableChannelBinding: address.channelBinding,
    ssl: tlsOptions(settings, address, baseDirectory),
    application_name: "tailrace",
    keepAlive: true,
    keepAliveInitialDelayMillis: 15_000,
    connectionTimeoutMillis: 15_000,
  };
}

function tlsOptions(settings: ConnectionSettings, address: Address, baseDirectory: string): pg.ClientConfig["ssl"] {
  const given = typeof settings.tls === "string" ? { mode: settings.tls } : (settings.tls ?? {});
  const mode = given.mode ?? address.tlsMode ?? (isLoopback(address.host) ? "off" : "verify-full");
  if (mode === "off") return false;
  const read = (file: string | undefined, setting: string): string | undefined => {
    if (file === undefined) return undefined;
    try {
      return readFileSync(resolve(baseDirectory, file), "utf8");
    } catch (error) {
      throw wrong(`\`tls.${setting}\`: ${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? "error"})`);
    }
  };
  const ca = read(given.ca ?? address.ca, "ca");
  const cert = read(given.cert, "cert");
  const key = read(given.key, "key");
  return {
    rejectUnauthorized: mode !== "require",
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    // verify-ca: the chain is verified, the name is not.
    ...(mode === "verify-ca" ? { checkServerIdentity: () => undefined } : {}),
  };
}

function wrong(message: string): TailraceError {
  return new TailraceError("destination.config", message);
}
