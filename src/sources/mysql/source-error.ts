// What an error of the server or of the connection means for us. The server's message is shown only where it names
// objects, settings and users; elsewhere it may quote a row's value. The driver's error is never attached.
import { type ErrorCode, TailraceError } from "../../contracts/errors.ts";

/** The number of an error that the server sent; null for anything else. */
export function serverErrorNumber(error: unknown): number | null {
  const { errno, sqlState } = (error ?? {}) as { errno?: unknown; sqlState?: unknown };
  return typeof errno === "number" && typeof sqlState === "string" ? errno : null;
}

const CODES: Readonly<Record<number, ErrorCode>> = {
  1044: "source.config", // no access to the database
  1045: "source.auth", // wrong user or password
  1049: "source.config", // no such database
  1054: "source.model", // no such column
  1062: "source.config",
  1064: "source.model",
  1130: "source.auth", // this host may not connect
  1142: "source.config", // a privilege on a table is missing
  1143: "source.config",
  1146: "source.model", // no such table
  1193: "source.config", // no such setting
  1205: "source.blocked", // a lock was not to be had in time
  1227: "source.config", // a privilege is missing
  1290: "source.config",
  1381: "source.config", // there is no binary log
  1698: "source.auth",
  1820: "source.auth", // the password has expired
  1862: "source.auth",
  3118: "source.auth", // the account is locked
  3159: "source.tls", // plain text is not allowed
  4151: "source.auth",
};

const TLS_REASONS: Readonly<Record<string, string>> = {
  HANDSHAKE_NO_SSL_SUPPORT: "the server does not offer TLS",
  CERT_HAS_EXPIRED: "its certificate has expired",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate authority is not one that is trusted here",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate authority is not one that is trusted here",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate authority is not one that is trusted here",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another host name",
};

/**
 * Any error of a statement or a connection, named. What is not known is transient and never "absent": it is tried
 * again, and the message says what it was.
 */
export function asSourceError(error: unknown): TailraceError {
  if (error instanceof TailraceError) return error;
  const number = serverErrorNumber(error);
  if (number !== null) {
    const code = CODES[number];
    const said =
      code === undefined || number === 1064 || number === 1062 ? "the server refused the statement" : textOf(error);
    return new TailraceError(code ?? "source.unreachable", `${said} (error ${number})`);
  }
  const { code: given } = (error ?? {}) as { code?: unknown };
  const code = typeof given === "string" ? given : "";
  const reason = tlsReason(error, code);
  if (reason !== null) return new TailraceError("source.tls", `TLS to the source failed: ${reason}`);
  if (code.startsWith("AUTH_SWITCH") || code === "HANDSHAKE_UNKNOWN_ERROR")
    return new TailraceError("source.auth", `logging in failed: ${textOf(error)}`);
  if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError)
    return TailraceError.from(error, "internal.defect");
  if (code === "ENOTFOUND") return unreachable("the source's host name is not known (ENOTFOUND)");
  if (code === "ECONNREFUSED") return unreachable("nothing listens on the source's host and port (ECONNREFUSED)");
  if (code === "ETIMEDOUT") return unreachable("the source did not answer the connection in time");
  if (/^E[A-Z0-9_]+$/.test(code)) return unreachable(`the connection to the source failed (${code})`);
  return unreachable(`the connection to the source was lost${code === "" ? "" : ` (${code})`}`);
}

function unreachable(message: string): TailraceError {
  return new TailraceError("source.unreachable", message);
}

function tlsReason(error: unknown, code: string): string | null {
  // The driver puts its own code on what the TLS library says.
  const named = Object.keys(TLS_REASONS).find((name) => code === name || textOf(error).includes(name));
  if (named !== undefined) return `${TLS_REASONS[named]} (${named})`;
  if (/self-signed certificate/.test(textOf(error))) return textOf(error);
  if (/^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|UNABLE_TO_|SELF_SIGNED|INVALID_CA|EPROTO$)/.test(code)) return code;
  return code === "HANDSHAKE_SSL_ERROR" ? textOf(error).slice(0, 200) : null;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : "";
}
