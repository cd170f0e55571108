import { TailraceError } from "../../../contracts/errors.ts";
import type { HttpAnswer, HttpRequest } from "../../http/client.ts";
import { retryAfterMs } from "../../http/retry-after.ts";
import type { AuthContext, Authorization } from "./authorization.ts";
import type { Secret } from "./secret.ts";

/** An access token that is asked for, and lasts for a while. */
export interface AccessToken {
  readonly token: string;
  /** ms from now; null: it is not said, and it is used until it is refused. */
  readonly lastsMs: number | null;
  readonly origin?: string | undefined;
}

/** So long before its end a token is not used any more: the request must arrive, too. */
const EARLY_MS = 60_000;

/** `Authorization: Bearer TOKEN`, with one request for a new token at a time, shared by all that wait for it. */
export class TokenAuthorization implements Authorization {
  readonly #ask: (signal: AbortSignal) => Promise<AccessToken>;
  #present: (AccessToken & { readonly endsAtMs: number; taken: boolean }) | null = null;
  #asking: Promise<void> | null = null;

  constructor(ask: (signal: AbortSignal) => Promise<AccessToken>) {
    this.#ask = ask;
  }

  get origin(): string | undefined {
    return this.#present?.origin;
  }

  async headers(_request: unknown, signal: AbortSignal): Promise<Readonly<Record<string, string>>> {
    while (this.#present === null || this.#present.endsAtMs <= Date.now()) {
      // Whoever asks first may be aborted; the others then ask themselves.
      this.#asking ??= this.#renew(signal).finally(() => (this.#asking = null));
      await this.#asking.catch((error: unknown) => {
        signal.throwIfAborted();
        if (error instanceof TailraceError) throw error;
      });
    }
    return { authorization: `Bearer ${this.#present.token}` };
  }

  /** A token that was taken before has come to its end; one that was refused from the start is not worth another. */
  async refused({ authorization }: Readonly<Record<string, string>>): Promise<boolean> {
    const present = this.#present;
    if (present === null || authorization !== `Bearer ${present.token}`) return true;
    this.#present = null;
    return present.taken;
  }

  accepted(): void {
    if (this.#present !== null) this.#present.taken = true;
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const got = await this.#ask(signal);
    const lastsMs = got.lastsMs === null ? Infinity : Math.max(got.lastsMs - EARLY_MS, got.lastsMs / 2);
    this.#present = { ...got, endsAtMs: Date.now() + lastsMs, taken: false };
  }
}

/** POSTs a form to a token endpoint (RFC 6749). @throws TailraceError `destination.auth` when it is refused. */
export async function askForToken(
  context: AuthContext,
  url: string,
  form: Readonly<Record<string, string>>,
  signal: AbortSignal,
  headers: Readonly<Record<string, string>> = {},
): Promise<AccessToken & { readonly refreshToken: string | null }> {
  const { origin, pathname, search } = new URL(url);
  const request: HttpRequest = {
    method: "POST",
    origin,
    path: pathname + search,
    headers: {
      "content-type": "application/x-www-form-urlencoded",
      accept: "application/json",
      "accept-encoding": "identity",
      "user-agent": "tailrace",
      ...headers,
    },
    body: Buffer.from(new URLSearchParams(form).toString()),
  };
  const answer = await context.send(request, signal);
  const body = parsed(answer);
  if (answer.status !== 200 && answer.status !== 201) throw refusal(answer, body, origin);
  const token = body["access_token"];
  if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) {
    throw new TailraceError("destination.auth", `${origin}: the answer to the request for a token has none`);
  }
  const seconds = Number(body["expires_in"]);
  const instance = body["instance_url"];
  const refreshToken = body["refresh_token"];
  return {
    token,
    lastsMs: Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : null,
    origin: typeof instance === "string" && URL.canParse(instance) ? new URL(instance).origin : undefined,
    refreshToken: typeof refreshToken === "string" ? refreshToken : null,
  };
}

/** Both ids in the form, as most vendors want them. */
export function clientCredentials(
  context: AuthContext,
  url: string,
  client: { readonly id: string; readonly secret: Secret },
  more: Readonly<Record<string, string>> = {},
): TokenAuthorization {
  return new TokenAuthorization(async (signal) =>
    withSecrets([client.secret], ([secret = ""]) =>
      askForToken(
        context,
        url,
        { grant_type: "client_credentials", client_id: client.id, client_secret: secret, ...more },
        signal,
      ),
    ),
  );
}

/** A vendor that gives a new refresh token with each access token lets go of the old one: it is used from then on, as long as we run. */
export function refreshToken(
  context: AuthContext,
  url: string,
  client: { readonly id: string; readonly secret: Secret | null },
  token: Secret,
): TokenAuthorization {
  let present: string | null = null;
  const secrets = client.secret === null ? [token] : [token, client.secret];
  return new TokenAuthorization(async (signal) =>
    withSecrets(secrets, async ([given = "", secret]) => {
      const got = await askForToken(
        context,
        url,
        {
          grant_type: "refresh_token",
          client_id: client.id,
          ...(secret === undefined ? {} : { client_secret: secret }),
          refresh_token: present ?? given,
        },
        signal,
      );
      present = got.refreshToken ?? present;
      return got;
    }),
  );
}

/** `ask` with the secrets' values; once more where it was refused and one of them is another by now. */
export async function withSecrets<T>(
  secrets: readonly Secret[],
  ask: (values: readonly string[]) => Promise<T>,
): Promise<T> {
  const values = await Promise.all(secrets.map((secret) => secret.value()));
  try {
    return await ask(values);
  } catch (error) {
    if (!(error instanceof TailraceError) || error.code !== "destination.auth") throw error;
    const changed = await Promise.all(secrets.map((secret, at) => secret.refused(values[at]!)));
    if (!changed.includes(true)) throw error;
    return ask(await Promise.all(secrets.map((secret) => secret.value())));
  }
}

const CODES = new Set([
  "invalid_request",
  "invalid_client",
  "invalid_grant",
  "unauthorized_client",
  "unsupported_grant_type",
  "invalid_scope",
]);

function refusal(answer: HttpAnswer, body: Readonly<Record<string, unknown>>, origin: string): TailraceError {
  const { status, headers } = answer;
  const code = CODES.has(String(body["error"])) ? `: ${String(body["error"])}` : "";
  const said = `${origin} answered ${status} to the request for a token${code}`;
  const afterMs = retryAfterMs(headers["retry-after"]);
  if (status === 429) return new TailraceError("destination.throttled", said, { afterMs });
  if (status === 408 || status >= 500) return new TailraceError("destination.unavailable", said, { afterMs });
  return new TailraceError("destination.auth", said);
}

function parsed(answer: HttpAnswer): Readonly<Record<string, unknown>> {
  try {
    const body: unknown = JSON.parse(answer.body);
    return typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
