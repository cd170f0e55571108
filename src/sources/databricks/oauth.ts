// A service principal's token, by OAuth's client credentials. The driver can ask for one itself, but only of the hosts of the three public clouds.
import { Agent, request } from "undici";
import { rootCertificates } from "node:tls";
import { TailraceError } from "../../contracts/errors.ts";

const TIMEOUT_MS = 30_000;

/** Lives for an hour; the driver asks for the next one in time. `ca`: trusted besides the usual ones. */
export async function machineToken(
  origin: string,
  clientId: string,
  clientSecret: string,
  ca: string | undefined,
): Promise<string> {
  await using dispatcher = new TokenAgent(ca);
  const basic = Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`).toString("base64");
  const { statusCode, body } = await request(`${origin}/oidc/v1/token`, {
    method: "POST",
    dispatcher,
    headers: { authorization: `Basic ${basic}`, "content-type": "application/x-www-form-urlencoded" },
    body: "grant_type=client_credentials&scope=all-apis",
    bodyTimeout: TIMEOUT_MS,
    headersTimeout: TIMEOUT_MS,
  });
  const text = await body.text();
  if (statusCode === 400 || statusCode === 401 || statusCode === 403)
    throw new TailraceError("source.auth", `Databricks refused the service principal's secret (HTTP ${statusCode})`);
  if (statusCode !== 200)
    throw new TailraceError("source.unreachable", `Databricks gave no OAuth token (HTTP ${statusCode})`);
  return (JSON.parse(text) as { access_token: string }).access_token;
}

class TokenAgent extends Agent implements AsyncDisposable {
  constructor(ca: string | undefined) {
    super(ca === undefined ? {} : { connect: { ca: [...rootCertificates, ca] } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
