import type { Delivery, Outcome } from "../../contracts/destination.ts";
import { TailraceError, type ErrorCode } from "../../contracts/errors.ts";
import { answerText } from "../../kit/answer-text.ts";

/** What nodemailer's errors have. */
interface Failure {
  readonly code?: string;
  /** The system's own, where {@link code} is a kind. */
  readonly originalCode?: string;
  readonly responseCode?: number;
  readonly response?: string;
  readonly command?: string;
}

/** Many servers take a mail of somebody whom they do not know yet only after some minutes. */
const LATER_MS = 60_000;

/** What went wrong before a mail was begun. */
export function connectionError(error: unknown): TailraceError {
  if (error instanceof TailraceError) return error;
  const { code, responseCode = 0 } = failureOf(error);
  const said = saying(error);
  if (code === "EAUTH") {
    // A server that offers no way to sign in is no matter of the password; the remedy is in the settings as well.
    return fault(responseCode >= 400 && responseCode < 500 ? "destination.unavailable" : "destination.auth", said);
  }
  if (responseCode === 421) return fault("destination.throttled", said);
  return fault(responseCode > 0 ? "destination.unavailable" : "destination.unreachable", said);
}

/**
 * What became of a mail that was begun: of this row, or thrown, where it is of every row or cannot be known.
 *
 * 4xx: not now; 5xx: never (RFC 5321, 4.2.1). To MAIL FROM it is about the sender, which all mails have; later, about this mail.
 */
export function mailOutcome(error: unknown, row: Delivery): Outcome {
  const { code, responseCode = 0, response = "", command } = failureOf(error);
  const answer = answerText(response, [row], [], false);
  const said = saying(error);
  if (code === "EMESSAGE" && responseCode === 0) return rejected("destination.too_large", said, answer);
  // What cannot be an address is not sent.
  if (code === "EENVELOPE" && responseCode === 0) return rejected("destination.refused", said, answer);
  if (responseCode === 421) throw fault("destination.throttled", said, answer);
  if (responseCode === 0) throw fault(code === "ETIMEDOUT" ? "destination.timeout" : "destination.unknown", said);
  if (command === "MAIL FROM") {
    if (responseCode < 500) throw fault("destination.throttled", said, answer);
    if (responseCode === 530 || responseCode === 535) throw fault("destination.auth", said, answer);
    if (responseCode !== 552) throw fault("destination.config", said, answer);
  }
  if (responseCode < 500) {
    return { status: "retry", error: fault("destination.unavailable", said, answer), afterMs: LATER_MS };
  }
  // The mailbox of a recipient can be full, too: that is not the mail's size.
  const large = (responseCode === 552 && command !== "RCPT TO") || /\b5\.3\.4\b/.test(response);
  return rejected(large ? "destination.too_large" : "destination.refused", said, answer);
}

function failureOf(error: unknown): Failure {
  return typeof error === "object" && error !== null ? error : {};
}

/** Without the server's own words, which may repeat an address. */
function saying(error: unknown): string {
  const { code, originalCode = code, responseCode, command } = failureOf(error);
  if (responseCode !== undefined && command !== undefined && command !== "CONN")
    return `The mail server answered ${responseCode} to ${command}`;
  if (responseCode !== undefined) return `The mail server answered ${responseCode}`;
  const reason = REASONS[originalCode ?? ""] ?? REASONS[code ?? ""] ?? "The mail server did not answer as it should";
  return originalCode === undefined ? reason : `${reason} (${originalCode})`;
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNECTION: "The mail server closed the connection",
  ECONNREFUSED: "The connection to the mail server was refused",
  ECONNRESET: "The mail server reset the connection",
  ESOCKET: "The mail server cannot be reached, or its certificate cannot be verified",
  ETLS: "TLS could not be agreed on with the mail server, see `security`",
  ETIMEDOUT: "The mail server did not answer in time",
  EAUTH: "The mail server takes no sign-in of the kinds that are known",
  EENVELOPE: "The recipient is no address",
  EMESSAGE: "The mail is larger than the mail server takes",
};

function fault(code: ErrorCode, message: string, answer?: string): TailraceError {
  return new TailraceError(code, message, { answer });
}

function rejected(code: "destination.refused" | "destination.too_large", message: string, answer?: string): Outcome {
  return { status: "rejected", error: fault(code, message, answer) };
}
