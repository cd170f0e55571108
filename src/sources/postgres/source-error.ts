// What an error of the server or of the connection means for us. The server's message is shown only in classes where
// it names objects and settings; elsewhere it may quote a row's value. The driver's error is never attached.
import { type ErrorCode, TailraceError } from "../../contracts/errors.ts";

/** The SQLSTATE of an error that the server sent; null for anything else. */
export function sqlState(error: unknown): string | null {
  const { code, severity } = (error ?? {}) as { code?: unknown; severity?: unknown };
  return typeof code === "string" && typeof severity === "string" && /^[0-9A-Z]{5}$/.test(code) ? code : null;
}

const BY_STATE: Readonly<Record<string, ErrorCode>> = {
  "3D000": "source.config", // no such database
  "42501": "source.config", // a privilege is missing
  "42P01": "source.model", // no such table
  "42703": "source.model", // no such column
  "42704": "source.config", // no such slot, type, role
  "3F000": "source.model", // no such schema
  "55006": "source.slot_busy",
  "55P03": "source.blocked", // a lock was not to be had in time
  "57014": "source.unreachable", // cancelled by somebody
  "25006": "source.config", // a read-only server
  "40001": "source.unreachable",
  "40P01": "source.unreachable",
};

const BY_CLASS: Readonly<Record<string, ErrorCode>> = {
  "08": "source.unreachable",
  "22": "source.model", // a key's text is not of the column's type (any more)
  "28": "source.auth",
  "40": "source.unreachable",
  "53": "source.unreachable", // out of connections, memory, disk
  "55": "source.config",
  "57": "source.unreachable", // shutting down, starting up
  "58": "source.unreachable", // the server's own disk
  "42": "source.config",
  "0A": "source.config",
  XX: "source.unreachable",
};

/** Classes whose messages name objects, settings and roles, never values. */
const SPEAKS_OF_NAMES = new Set(["08", "28", "3D", "3F", "42", "53", "55", "57", "25"]);

/**
 * Any error of a statement or a connection, named. What is not known is transient and never "absent": it is tried
 * again, and the message says what it was.
 */
export function asSourceError(error: unknown): TailraceError {
  if (error instanceof TailraceError) return error;
  const state = sqlState(error);
  if (state !== null) {
    const kind = state.slice(0, 2);
    const code = BY_STATE[state] ?? BY_CLASS[kind] ?? "source.unreachable";
    const said = (error as Error).message;
    const shown = SPEAKS_OF_NAMES.has(kind) && state !== "42601" ? said : "the server refused the statement";
    return new TailraceError(code, `${shown} (SQLSTATE ${state})`);
  }
  return connectionError(error);
}

const TLS_REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet",
  CERT_REVOKED: "its certificate was revoked",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate authority is not one that is trusted here",
  UNABLE_TO_GET_ISSUER_CERT: "its certificate authority is not one that is trusted here",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate authority is not one that is trusted here",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate authority is not one that is trusted here",
  CERT_SIGNATURE_FAILURE: "its certificate was not signed by the trusted authority",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another host name",
  HOSTNAME_MISMATCH: "its certificate is for another host name",
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: "it wants a client certificate (`tls.cert`, `tls.key`)",
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: "it does not trust the client certificate",
};

function connectionError(error: unknown): TailraceError {
  const { code: given, message: text } = (error ?? {}) as { code?: unknown; message?: unknown };
  const code = typeof given === "string" ? given : "";
  const message = typeof text === "string" ? text : "";
  if (message.includes("does not support SSL")) {
    return new TailraceError("source.tls", "TLS to the source failed: the server does not offer TLS");
  }
  if (Object.hasOwn(TLS_REASONS, code)) {
    return new TailraceError("source.tls", `TLS to the source failed: ${TLS_REASONS[code]} (${code})`);
  }
  if (/^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|UNABLE_TO_|SELF_SIGNED|INVALID_CA|EPROTO$)/.test(code)) {
    return new TailraceError("source.tls", `TLS to the source failed (${code})`);
  }
  if (message.startsWith("SASL")) {
    // The driver's own refusal: no password, or a server that does not know the password.
    return new TailraceError(
      "source.auth",
      message.includes("must be a") ? "the server wants a password, and none is set" : message,
    );
  }
  if (
    error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof ReferenceError ||
    error instanceof SyntaxError
  ) {
    return TailraceError.from(error, "internal.defect");
  }
  if (code === "ENOTFOUND")
    return new TailraceError("source.unreachable", "the source's host name is not known (ENOTFOUND)");
  if (code === "ECONNREFUSED")
    return new TailraceError("source.unreachable", "nothing listens on the source's host and port (ECONNREFUSED)");
  if (/^E[A-Z0-9_]+$/.test(code))
    return new TailraceError("source.unreachable", `the connection to the source failed (${code})`);
  if (message === "timeout expired")
    return new TailraceError("source.unreachable", "the source did not answer the connection in time");
  return new TailraceError(
    "source.unreachable",
    `the connection to the source was lost${message ? ` (${message.slice(0, 200)})` : ""}`,
  );
}
