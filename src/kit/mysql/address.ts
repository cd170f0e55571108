// Where the server is, from `url` and the single settings. No part of a URL goes into a message: it is a secret.
import type { SecretReference } from "../secret.ts";
import type { ConnectionSettings, TlsMode } from "./settings.ts";

export interface Address {
  /** A host, or the path of a Unix socket. */
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
  };
}

export interface AddressProblem {
  readonly problem: string;
  /** The setting that is wrong. */
  readonly at: string[];
}

// As `mysql` itself spells them, and as other drivers do.
const SSL_MODES: Readonly<Record<string, TlsMode>> = {
  disabled: "disable",
  disable: "disable",
  required: "require",
  require: "require",
  verify_ca: "verify-ca",
  "verify-ca": "verify-ca",
  verify_identity: "verify-full",
  "verify-full": "verify-full",
};

/** The server's address, or what is wrong with the settings. */
export function addressOf(settings: ConnectionSettings): Address | AddressProblem {
  const given = settings.url === undefined ? {} : partsOf(settings.url);
  if ("problem" in given) return given;
  const host = settings.host ?? given.host ?? (settings.url === undefined ? undefined : "localhost");
  if (host === undefined) return { problem: "give `url`, or `host` with `user`, `password` and `database`", at: [] };
  const own = typeof settings.tls === "string" ? { mode: settings.tls } : (settings.tls ?? {});
  const mode = own.mode === "off" ? "disable" : own.mode;
  if (mode !== undefined && given.mode !== undefined && mode !== given.mode)
    return { problem: "`tls.mode` and the `ssl-mode` in `url` differ; keep one of them", at: ["tls", "mode"] };
  const { ca, cert, key } = "ca" in own || "cert" in own || "key" in own ? own : {};
  if ((cert === undefined) !== (key === undefined))
    return { problem: "a client's certificate needs both `cert` and `key`", at: ["tls"] };
  const asked = mode ?? given.mode ?? (isLoopback(host) ? "disable" : "verify-full");
  return {
    host,
    port: settings.port ?? given.port ?? 3306,
    user: settings.user ?? given.user,
    password: settings.password ?? given.password,
    database: settings.database ?? given.database,
    // Who names an authority wants it asked.
    tls: { mode: asked === "require" && ca !== undefined ? "verify-ca" : asked, ca, cert, key },
  };
}

/** `HOST:PORT/DATABASE`, for messages. */
export function describeAddress(settings: ConnectionSettings): string {
  const found = addressOf(settings);
  return "problem" in found ? "the server" : `${found.host}:${found.port}/${found.database ?? ""}`;
}

/** The machine itself, or a socket on it. */
export function isLoopback(host: string): boolean {
  return host.startsWith("/") || /^(localhost|::1|127(\.\d{1,3}){3})$/i.test(host);
}

interface UrlParts {
  host?: string;
  port?: number;
  user?: string;
  password?: string;
  database?: string;
  mode?: TlsMode;
}

// Raw `@` in a password is taken (the last one ends it); `/`, `?` and `#` would be guessed at, and are refused.
const URL_SHAPE = /^(?:mysql|mariadb):\/\/(?:([^/?#]*)@)?([^@/?#]*)(?:\/([^@/?#]*))?(?:\?([^#]*))?$/i;
const HOST_SHAPE = /^(\[[0-9a-f:.%]+\]|[^:[\]]*)(?::(\d*))?$/i;

function partsOf(url: string): UrlParts | AddressProblem {
  const shape = URL_SHAPE.exec(url.trim());
  if (!shape) {
    return /^(mysql|mariadb):\/\//i.test(url.trim())
      ? inUrl("it cannot be read; write `/`, `?`, `#` and `%` in a user or password as %2F, %3F, %23 and %25")
      : inUrl("it begins with mysql:// or mariadb://");
  }
  const [, userinfo = "", authority = "", path = "", query = ""] = shape;
  const host = HOST_SHAPE.exec(authority);
  if (!host) return inUrl("its host cannot be read");
  const port = host[2] === undefined || host[2] === "" ? undefined : Number(host[2]);
  if (port !== undefined && (port < 1 || port > 65535)) return inUrl("its port is not a number from 1 to 65535");
  try {
    const colon = userinfo.indexOf(":");
    const user = decodeURIComponent(colon < 0 ? userinfo : userinfo.slice(0, colon));
    const password = colon < 0 ? "" : decodeURIComponent(userinfo.slice(colon + 1));
    const mode = modeOf(query);
    if (mode !== undefined && typeof mode !== "string") return mode;
    const name = host[1]!.replace(/^\[(.*)\]$/, "$1");
    const database = decodeURIComponent(path);
    return {
      ...(name !== "" && { host: name }),
      ...(port !== undefined && { port }),
      ...(user !== "" && { user }),
      ...(password !== "" && { password }),
      ...(database !== "" && { database }),
      ...(mode !== undefined && { mode }),
    };
  } catch {
    return inUrl("a % in it does not begin an encoded character; write it as %25");
  }
}

function modeOf(query: string): TlsMode | AddressProblem | undefined {
  let mode: TlsMode | undefined;
  for (const [name, value] of new URLSearchParams(query)) {
    if (!/^ssl-?mode$/i.test(name))
      return inUrl(`its parameter \`${/^\w{1,40}$/.test(name) ? name : "?"}\` is not known here`);
    mode = SSL_MODES[value.toLowerCase()];
    if (mode === undefined)
      return inUrl(
        "`ssl-mode` is DISABLED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY: there is no silent fallback to plain text",
      );
  }
  return mode;
}

function inUrl(what: string): AddressProblem {
  return { problem: `\`url\`: ${what}`, at: ["url"] };
}
