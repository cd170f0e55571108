// What went wrong between us and a PostgreSQL server. Each connector says which code each kind has; the driver's error
// is never attached, because its text may quote a row's value.
import { type ErrorCode, TailraceError } from "../../contracts/errors.ts";

/** The SQLSTATE of an error that the server sent; null for anything else. */
export function sqlState(error: unknown): string | null {
  const { code, severity } = (error ?? {}) as { code?: unknown; severity?: unknown };
  return typeof code === "string" && typeof severity === "string" && /^[0-9A-Z]{5}$/.test(code) ? code : null;
}

/** Codes by SQLSTATE, and by its first two letters where the whole one is not listed. */
export interface CodesByState {
  readonly states: Readonly<Record<string, ErrorCode>>;
  readonly classes: Readonly<Record<string, ErrorCode>>;
  /** What is not known. */
  readonly otherwise: ErrorCode;
}

export function codeOf(state: string, codes: CodesByState): ErrorCode {
  return codes.states[state] ?? codes.classes[state.slice(0, 2)] ?? codes.otherwise;
}

export interface ConnectionWords {
  /** `source` or `destination`, as messages name it. */
  readonly peer: string;
  readonly codes: { readonly tls: ErrorCode; readonly auth: ErrorCode; readonly unreachable: ErrorCode };
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

/** An error of the connection itself, named; anything that is not known is the connection's loss. */
export function connectionError(error: unknown, { peer, codes }: ConnectionWords): TailraceError {
  const { code: given, message: text } = (error ?? {}) as { code?: unknown; message?: unknown };
  const code = typeof given === "string" ? given : "";
  const message = typeof text === "string" ? text : "";
  if (message.includes("does not support SSL")) {
    return new TailraceError(codes.tls, `TLS to the ${peer} failed: the server does not offer TLS`);
  }
  if (Object.hasOwn(TLS_REASONS, code)) {
    return new TailraceError(codes.tls, `TLS to the ${peer} failed: ${TLS_REASONS[code]} (${code})`);
  }
  if (/^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|UNABLE_TO_|SELF_SIGNED|INVALID_CA|EPROTO$)/.test(code)) {
    return new TailraceError(codes.tls, `TLS to the ${peer} failed (${code})`);
  }
  if (message.startsWith("SASL")) {
    // The driver's own refusal: no password, or a server that does not know the password.
    const why = message.includes("must be a") ? "the server wants a password, and none is set" : message;
    return new TailraceError(codes.auth, why);
  }
  if (
    error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof ReferenceError ||
    error instanceof SyntaxError
  ) {
    return TailraceError.from(error, "internal.defect");
  }
  return new TailraceError(codes.unreachable, lossOf(code, message, peer));
}

function lossOf(code: string, message: string, peer: string): string {
  if (code === "ENOTFOUND") return `the ${peer}'s host name is not known (ENOTFOUND)`;
  if (code === "ECONNREFUSED") return `nothing listens on the ${peer}'s host and port (ECONNREFUSED)`;
  if (/^E[A-Z0-9_]+$/.test(code)) return `the connection to the ${peer} failed (${code})`;
  if (message === "timeout expired") return `the ${peer} did not answer the connection in time`;
  return `the connection to the ${peer} was lost${message === "" ? "" : ` (${message.slice(0, 200)})`}`;
}
