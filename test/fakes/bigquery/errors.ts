// Errors as the API words them: https://docs.cloud.google.com/bigquery/docs/error-messages

export class BigQueryFault extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }

  get body(): object {
    const { status, reason, message } = this;
    return { error: { code: status, message, errors: [{ message, domain: "global", reason }] } };
  }
}

export const invalidQuery = (message: string): BigQueryFault => new BigQueryFault(400, "invalidQuery", message);
export const notFound = (what: string): BigQueryFault => new BigQueryFault(404, "notFound", `Not found: ${what}`);
export const accessDenied = (message: string): BigQueryFault =>
  new BigQueryFault(403, "accessDenied", `Access Denied: ${message}`);
