import { defineDestination } from "../../contracts/destination.ts";
import type { Destination, DestinationContext, Target, Writer } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import { AddressGuard } from "../../kit/address-guard.ts";
import { HttpClient } from "../../kit/http/client.ts";
import { AnswerRules } from "./answers.ts";
import { checkConnection } from "./check.ts";
import { authorityOf, RequestPlan } from "./request-plan.ts";
import { webhookSettings, webhookSyncOptions } from "./settings.ts";
import type { WebhookSettings } from "./settings.ts";
import { parseSecret } from "../../kit/http/signature.ts";
import type { SigningSecret } from "../../kit/http/signature.ts";
import { SecretHeaders } from "./secret-headers.ts";
import { TlsFiles } from "./tls-files.ts";
import { WebhookWriter } from "./writer.ts";

const HOST_PER_ROW: Finding = {
  level: "info",
  code: "webhook.host_per_row",
  message: "The host is made from each row, so the connection cannot be checked beforehand.",
};

/** Requests in flight, where the configuration does not say. */
const CONCURRENCY = 8;
/** How many are in flight is the engine's choice; the client must not hold them back. */
const MOST_CONNECTIONS = 1024;

class WebhookDestination implements Destination {
  readonly limits;
  readonly capabilities = {
    modes: ["upsert", "mirror", "insert", "update", "event"],
    deletes: ["delete", "archive", "clear", "ignore"],
    partialUpdates: false,
    idempotencyKey: true,
  } as const;
  readonly #settings: WebhookSettings;
  readonly #guard: AddressGuard;
  readonly #tls: TlsFiles;
  readonly #secrets: readonly SigningSecret[];
  readonly #secretHeaders: SecretHeaders | null;
  readonly #client: HttpClient;

  constructor(settings: WebhookSettings, context: DestinationContext) {
    const { batch } = settings;
    const single = batch.format === "single";
    this.limits = {
      batchRows: single ? 1 : (batch.rows ?? 500),
      batchBytes: batch.bytes ?? (single ? 16_777_216 : 1_048_576),
      concurrency: CONCURRENCY,
      perSecond: null,
      batchAgeMs: single ? 0 : batch.age_ms,
    };
    this.#settings = settings;
    this.#guard = new AddressGuard(settings.allow_private);
    this.#tls = new TlsFiles(settings.tls, context.baseDirectory);
    const secrets = typeof settings.secret === "string" ? [settings.secret] : (settings.secret ?? []);
    this.#secrets = secrets.map(parseSecret).filter((secret) => secret !== null);
    this.#secretHeaders = Object.values(settings.headers).some((value) => typeof value !== "string")
      ? new SecretHeaders(settings.headers, context.baseDirectory)
      : null;
    this.#client = new HttpClient({
      guard: this.#guard,
      connections: MOST_CONNECTIONS,
      timeoutMs: settings.timeout_ms,
      answerBytes: settings.answer_bytes,
      tls: () => this.#tls.now(),
      hostIsPrivate: authorityOf(settings.url) === null,
    });
  }

  async check(targets: readonly Target[], signal: AbortSignal): Promise<readonly Finding[]> {
    const findings: Finding[] = [];
    const origins = new Set<string>();
    for (const target of targets) {
      try {
        const { plan } = this.#plan(target);
        if (plan.origin !== null) origins.add(plan.origin);
        else if (!findings.includes(HOST_PER_ROW)) findings.push(HOST_PER_ROW);
      } catch (error) {
        const { message } = TailraceError.from(error);
        findings.push({ level: "error", code: "webhook.request", message, subject: target.sync });
      }
    }
    const parts = {
      settings: this.#settings,
      guard: this.#guard,
      tls: this.#tls.now(),
      client: this.#client,
      secretHeaders: this.#secretHeaders,
    };
    return [...findings, ...(await checkConnection(parts, origins, signal))];
  }

  // An async function, so that what is wrong with the target rejects.
  async open(target: Target): Promise<Writer> {
    const { plan, payload } = this.#plan(target);
    return new WebhookWriter({
      sync: target.sync,
      client: this.#client,
      plan,
      payload,
      rules: new AnswerRules(this.#settings.answers, plan.urlPerRow),
      settings: this.#settings,
      secrets: this.#secrets,
      secretHeaders: this.#secretHeaders,
    });
  }

  #plan(target: Target): { readonly plan: RequestPlan; readonly payload: "envelope" | "record" } {
    const options = webhookSyncOptions.parse(target.options ?? {});
    const payload = options.payload ?? this.#settings.payload;
    const removes = target.mode === "event" || (target.mode === "mirror" && target.onDelete.kind === "delete");
    if (payload === "record" && removes && this.#settings.batch.format !== "single") {
      throw new TailraceError(
        "destination.config",
        "With `payload: record` a deleted row in a batch looks like any other: use `payload: envelope`, or `batch: { format: single }`",
      );
    }
    return { plan: new RequestPlan(this.#settings, options, target), payload };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }
}

export default defineDestination({
  type: "webhook",
  title: "Webhook",
  settings: webhookSettings,
  sync: webhookSyncOptions,
  create: (settings, context) => new WebhookDestination(settings, context),
});
