import { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import type { AddressGuard } from "../../kit/address-guard.ts";
import type { HttpClient } from "../../kit/http/client.ts";
import type { TlsOptions } from "../../kit/http/connector.ts";
import { probeConnection } from "../../kit/http/probe.ts";
import type { SecretHeaders } from "./secret-headers.ts";
import type { WebhookSettings } from "./settings.ts";

const UNREACHABLE_FIX = "Check the host and port of `url`, DNS, and the network in between; for a certificate, `tls`.";

export interface CheckParts {
  readonly settings: WebhookSettings;
  readonly guard: AddressGuard;
  readonly tls: TlsOptions;
  readonly client: HttpClient;
  readonly secretHeaders: SecretHeaders | null;
}

/** Whether the receiver can be reached. Nothing is sent but TCP and TLS, unless `check_path` says what may be asked. */
export async function checkConnection(
  parts: CheckParts,
  origins: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  if (parts.settings.secret === undefined) {
    findings.push({
      level: "info",
      code: "webhook.unsigned",
      message: "Requests are not signed: the receiver cannot tell ours from anybody else's.",
      fix: "Set `secret: ${HOOK_SECRET}` and give the receiver the same; make one with `echo whsec_$(openssl rand -base64 32)`.",
    });
  }
  for (const origin of origins) findings.push(...(await checkOrigin(parts, origin, signal)));
  return findings;
}

async function checkOrigin(parts: CheckParts, origin: string, signal: AbortSignal): Promise<Finding[]> {
  const { settings, guard, tls, client, secretHeaders } = parts;
  try {
    const { local } = await probeConnection(origin, guard, tls, Math.min(settings.timeout_ms, 10_000), signal);
    const findings: Finding[] = [];
    if (origin.startsWith("http:") && !local) {
      findings.push({
        level: "warning",
        code: "webhook.plain_http",
        message: `${origin}: rows and credentials travel unencrypted.`,
        fix: "Use an https URL.",
      });
    }
    if (settings.check_path === undefined) return findings;
    const headers = {
      "user-agent": "tailrace",
      "accept-encoding": "identity",
      ...(await secretHeaders?.values()),
      ...untemplated(settings.headers),
    };
    const request = { origin, path: settings.check_path, method: "GET", headers, body: null };
    const { status } = await client.send(request, signal);
    if (status < 300) return findings;
    return [...findings, statusFinding(origin, status)];
  } catch (error) {
    if (signal.aborted) throw error;
    const failure = TailraceError.from(error);
    const blocked = failure.code === "destination.blocked_address";
    return [
      {
        level: "error",
        code: blocked ? "webhook.blocked_address" : "webhook.unreachable",
        message: failure.message,
        fix: blocked ? failure.hint : UNREACHABLE_FIX,
      },
    ];
  }
}

function statusFinding(origin: string, status: number): Finding {
  const message = `${origin} answered ${status} to \`check_path\``;
  if (status < 400) {
    return {
      level: "error",
      code: "webhook.redirect",
      message: `${message}, a redirect. Redirects are never followed.`,
      fix: "Set `url` to the final address.",
    };
  }
  if (status === 401 || status === 403) {
    return {
      level: "error",
      code: "webhook.auth",
      message: `${message}: the credentials were refused.`,
      fix: "Correct `headers`.",
    };
  }
  return {
    level: "warning",
    code: "webhook.check_path",
    message: `${message}.`,
    fix: "Correct `check_path`, or look at the receiver.",
  };
}

function untemplated(headers: WebhookSettings["headers"]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      typeof value !== "string" || value.includes("{{") || value.includes("{%") ? [] : [[name, value]],
    ),
  );
}
