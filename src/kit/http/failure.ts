import { TailraceError } from "../../contracts/errors.ts";

/** In plain words; never an error's own message, which may hold a host name made of a row's value. */
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  ENOTFOUND: "the host name is not known",
  EAI_AGAIN: "the host name could not be resolved (DNS does not answer)",
  EHOSTUNREACH: "the host cannot be reached",
  ENETUNREACH: "the network cannot be reached",
  ETIMEDOUT: "connecting took too long",
  UND_ERR_CONNECT_TIMEOUT: "connecting took too long",
  ECONNRESET: "the connection was reset",
  EPIPE: "the connection was closed",
  UND_ERR_SOCKET: "the connection was closed",
  UND_ERR_HEADERS_OVERFLOW: "the answer's headers are too large",
  UND_ERR_DESTROYED: "the destination was closed",
  UND_ERR_CLOSED: "the destination was closed",
  ERR_TLS_CERT_ALTNAME_INVALID: "its TLS certificate is for another host",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its TLS certificate is self-signed; give it as `tls.ca`",
  SELF_SIGNED_CERT_IN_CHAIN: "its TLS certificate is signed by an authority that is not known; give it as `tls.ca`",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its TLS certificate cannot be verified; give the authority as `tls.ca`",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its TLS certificate cannot be verified; give the authority as `tls.ca`",
  CERT_HAS_EXPIRED: "its TLS certificate has expired",
  CERT_NOT_YET_VALID: "its TLS certificate is not valid yet",
  EPROTO: "TLS could not be agreed on",
};

/**
 * A failed request as what the system does next. Before the request was on a connection nothing can have happened
 * (`destination.unreachable`); after that anything can (`destination.unknown`).
 */
export function requestFailure(error: unknown, started: boolean, where: string, showCause: boolean): TailraceError {
  if (error instanceof TailraceError) return error;
  const code = (error as { code?: unknown } | null)?.code;
  const name = typeof code === "string" ? code : error instanceof Error ? error.name : "unknown error";
  const reason = REASONS[name] ?? (name.startsWith("HPE_") ? `the answer is not HTTP (${name})` : name);
  const details = showCause ? { cause: error } : {};
  if (name === "UND_ERR_INVALID_ARG" || name === "UND_ERR_NOT_SUPPORTED") {
    return new TailraceError("destination.config", `${where}: the request cannot be written as HTTP`, details);
  }
  if (!started) return new TailraceError("destination.unreachable", `${where}: ${reason}`, details);
  return new TailraceError("destination.unknown", `${where}: no complete answer: ${reason}`, details);
}
