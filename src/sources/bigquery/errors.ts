// BigQuery's errors as ours. Its texts may quote values: they are passed on only where no row was read yet (a dry run).
import { type ErrorCode, TailraceError } from "../../contracts/errors.ts";

/** What the API, or a job, was refused for. */
export class Refusal extends Error {
  /** HTTP status. */
  readonly status: number;
  /** `invalidQuery`, `notFound` … */
  readonly reason: string;
  /** BigQuery's own text: never to be shown, but to be looked at. */
  readonly text: string;

  constructor(status: number, reason: string, text: string) {
    super(`BigQuery refused: ${reason} (HTTP ${status})`);
    this.status = status;
    this.reason = reason;
    this.text = text;
  }
}

const LATER = [
  "rateLimitExceeded",
  "jobRateLimitExceeded",
  "userRateLimitExceeded",
  "quotaExceeded",
  "backendError",
  "jobBackendError",
  "internalError",
  "jobInternalError",
  "tableUnavailable",
  "timeout",
  "stopped",
  "blocked",
];

const CODES: ReadonlyMap<string, ErrorCode> = new Map<string, ErrorCode>([
  ...LATER.map((reason): [string, ErrorCode] => [reason, "source.unreachable"]),
  ["accessDenied", "source.config"],
  ["billingNotEnabled", "source.config"],
  ["bytesBilledLimitExceeded", "source.config"],
  ["billingTierLimitExceeded", "source.config"],
  ["notFound", "source.model"],
  ["resourcesExceeded", "source.data"],
  ["responseTooLarge", "source.data"],
]);

const MEANINGS: Readonly<Record<string, string>> = {
  accessDenied:
    "the service account may not do that: it needs roles/bigquery.jobUser on the project, and roles/bigquery.dataViewer on the table or dataset",
  billingNotEnabled: "billing is not enabled for the project",
  bytesBilledLimitExceeded: "a query would be billed for more than `maximum_bytes_billed` allows",
  notFound: "it does not exist, or cannot be seen with these credentials",
  resourcesExceeded: "a query takes more memory than BigQuery gives it; so many rows cannot be put in order at once",
  rateLimitExceeded: "too many requests; a quota of the project is used up",
  quotaExceeded: "a quota of the project is used up",
};

/** `what`: the model, or what was done. `isDry`: no row had been read. */
export function asSourceError(error: unknown, what: string, isDry = false): TailraceError {
  if (error instanceof TailraceError) return error;
  if (!(error instanceof Refusal)) return TailraceError.from(error, "source.unreachable");
  const { status, reason, text } = error;
  if (status === 401) return new TailraceError("source.auth", `${what}: BigQuery refused the credentials`);
  const fallback: ErrorCode =
    status >= 500 || status === 429 ? "source.unreachable" : isDry ? "source.model" : "source.data";
  const meaning = MEANINGS[reason] ?? (isDry ? text.slice(0, 500) : "");
  return new TailraceError(
    CODES.get(reason) ?? fallback,
    `${what}: ${meaning === "" ? error.message : `${meaning} (${reason})`}`,
  );
}

/** Any error of the client library as a {@link Refusal}, or as ours. */
export function failureOf(error: unknown): Error {
  if (error instanceof TailraceError || error instanceof Refusal) return error;
  const { code, message, errors } = (error ?? {}) as {
    code?: number | string;
    message?: string;
    errors?: readonly { reason?: string; message?: string }[];
  };
  if (
    /could not load the default credentials|invalid_grant|invalid_client|unable to detect a project id/i.test(
      message ?? "",
    )
  )
    return new TailraceError(
      "source.auth",
      "Google's credentials could not be had: give `key_file` or `key`, or set up application default credentials, and name the `project`",
    );
  if (typeof code === "number")
    return new Refusal(code, errors?.[0]?.reason ?? "error", errors?.[0]?.message ?? message ?? "");
  if (typeof code === "string" && /CERT|TLS|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code))
    return new TailraceError("source.tls", `the certificate of BigQuery's API could not be verified (${code})`);
  return new TailraceError("source.unreachable", `BigQuery's API could not be reached (${code ?? "no answer"})`);
}
