// Where the database is, from `url` and the single settings. No part of a URL goes into a message: it is a secret.
import type { SecretReference } from "../secret.ts";
import type { ConnectionSettings, TlsMode } from "./settings.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
  readonly user: string | undefined;
  readonly password: string | SecretReference | undefined;
  readonly database: string | undefined;
  readonly tls: {
    readonly mode: TlsMode;
    readonly ca: string | undefined;
    readonly cert: string | undefined;
    readonly key: string | undefined;
    /** Whether the TLS handshake starts at once, without asking for it first (PostgreSQL 17). */
    readonly direct: boolean;
  };
  readonly channelBinding: boolean;
  /** The URL says that it leads to a pooler. */
  readonly saysPooler: boolean;
}

export interface AddressProblem {
  readonly problem: string;
  /** The setting that is wrong. */
  readonly at: string[];
}

/** The connection's address, or what is wrong with the settings. */
export function addressOf(settings: ConnectionSettings): Address | AddressProblem {
  const given = settings.url === undefined ? new Map<string, string>() : partsOf(settings.url);
  if (!(given instanceof Map)) return given;
  const host = settings.host ?? given.get("host") ?? (settings.url === undefined ? undefined : "localhost");
  if (host === undefined) return { problem: "give `url`, or `host` with `user`, `password` and `database`", at: [] };
  const port = settings.port ?? Number(given.get("port") ?? 5432);
  if (!Number.isInteger(port) || port < 1 || port > 65535) return inUrl("its port is not a number from 1 to 65535");
  const mode = tlsModeOf(settings, given, host);
  if (typeof mode !== "string") return mode;
  const tls = tlsOf(settings);
  const ca = tls.ca ?? given.get("sslrootcert");
  const cert = tls.cert ?? given.get("sslcert");
  const key = tls.key ?? given.get("sslkey");
  if ((cert === undefined) !== (key === undefined)) {
    return {
      problem: "a client's certificate needs both `cert` and `key`",
      at: settings.tls === undefined ? ["url"] : ["tls"],
    };
  }
  const negotiation = given.get("sslnegotiation") ?? "postgres";
  if (negotiation !== "postgres" && negotiation !== "direct") return inUrl("`sslnegotiation` is postgres or direct");
  return {
    host,
    port,
    user: settings.user ?? given.get("user"),
    password: settings.password ?? given.get("password"),
    database: settings.database ?? given.get("dbname"),
    tls: {
      // As in libpq: who names an authority wants it asked.
      mode: mode === "require" && ca !== undefined ? "verify-ca" : mode,
      ca: ca === "system" ? undefined : ca,
      cert,
      key,
      direct: negotiation === "direct" && mode !== "disable",
    },
    channelBinding: given.get("channel_binding") === "require",
    saysPooler: given.get("pgbouncer") === "true",
  };
}

/** The machine itself, or a socket on it. */
export function isLoopback(host: string): boolean {
  return host.startsWith("/") || /^(localhost|::1|127(\.\d{1,3}){3})$/i.test(host);
}

/** `HOST:PORT/DATABASE`, for messages. */
export function describeAddress(settings: ConnectionSettings): string {
  const found = addressOf(settings);
  return "problem" in found ? "the database" : `${found.host}:${found.port}/${found.database ?? ""}`;
}

function tlsOf({ tls }: ConnectionSettings): Exclude<ConnectionSettings["tls"], string | undefined> {
  return typeof tls === "string" ? { mode: tls } : (tls ?? {});
}

const SSLMODES: Readonly<Record<string, TlsMode>> = {
  disable: "disable",
  require: "require",
  "no-verify": "require",
  "verify-ca": "verify-ca",
  "verify-full": "verify-full",
};

function tlsModeOf(
  settings: ConnectionSettings,
  given: ReadonlyMap<string, string>,
  host: string,
): TlsMode | AddressProblem {
  const sslmode = given.get("sslmode");
  const fromUrl = sslmode === undefined ? undefined : Object.hasOwn(SSLMODES, sslmode) ? SSLMODES[sslmode] : null;
  if (fromUrl === null) {
    return inUrl("`sslmode` is disable, require, verify-ca or verify-full: there is no silent fallback to plain text");
  }
  const { mode } = tlsOf(settings);
  const own = mode === "off" ? "disable" : mode;
  if (own !== undefined && fromUrl !== undefined && own !== fromUrl) {
    return { problem: "`tls.mode` and the `sslmode` in `url` differ; keep one of them", at: ["tls", "mode"] };
  }
  return own ?? fromUrl ?? (isLoopback(host) ? "disable" : "verify-full");
}

// Raw `@` in a password is taken (the last one ends it); `/`, `?` and `#` would be guessed at, and are refused.
const URL_SHAPE = /^postgres(?:ql)?:\/\/(?:([^/?#]*)@)?([^@/?#]*)(?:\/([^@/?#]*))?(?:\?([^#]*))?$/i;
const HOST_SHAPE = /^(\[[0-9a-f:.%]+\]|[^:[\]]*)(?::(\d*))?$/i;

/** Parameters that mean something here, and those that change nothing for us. */
const PARAMETERS = new Set(
  (
    "host port user password dbname sslmode sslrootcert sslcert sslkey sslnegotiation channel_binding pgbouncer " +
    "application_name connect_timeout target_session_attrs gssencmode uselibpqcompat"
  ).split(" "),
);

function partsOf(url: string): Map<string, string> | AddressProblem {
  const shape = URL_SHAPE.exec(url.trim());
  if (!shape) {
    return /^postgres(ql)?:\/\//i.test(url.trim())
      ? inUrl("it cannot be read; write `/`, `?`, `#` and `%` in a user or password as %2F, %3F, %23 and %25")
      : inUrl("it begins with postgres://");
  }
  const [, userinfo = "", authority = "", path = "", query = ""] = shape;
  const parts = new Map<string, string>();
  try {
    const colon = userinfo.indexOf(":");
    put(parts, "user", colon < 0 ? userinfo : userinfo.slice(0, colon));
    put(parts, "password", colon < 0 ? "" : userinfo.slice(colon + 1));
    if (authority.includes(",")) return inUrl("it names several hosts; name the one that is meant");
    const host = HOST_SHAPE.exec(authority);
    if (!host) return inUrl("its host cannot be read");
    put(parts, "host", host[1]!.replace(/^\[(.*)\]$/, "$1"));
    put(parts, "port", host[2] ?? "");
    put(parts, "dbname", path);
    for (const pair of query.split("&")) {
      if (pair === "") continue;
      const equals = pair.indexOf("=");
      const name = decodeURIComponent(equals < 0 ? pair : pair.slice(0, equals));
      if (!PARAMETERS.has(name))
        return inUrl(`its parameter \`${/^\w{1,40}$/.test(name) ? name : "?"}\` is not known here`);
      put(parts, name, equals < 0 ? "" : pair.slice(equals + 1));
    }
  } catch {
    return inUrl("a % in it does not begin an encoded character; write it as %25");
  }
  return parts;
}

function put(parts: Map<string, string>, name: string, encoded: string): void {
  if (encoded !== "") parts.set(name, decodeURIComponent(encoded));
}

function inUrl(what: string): AddressProblem {
  return { problem: `\`url\`: ${what}`, at: ["url"] };
}
