import type { Delivery, Target } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { WebhookSettings, WebhookSyncOptions } from "./settings.ts";
import { rowText } from "./templates.ts";
import type { RowText } from "./templates.ts";

export interface PlannedRequest {
  readonly origin: string;
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface Place {
  readonly origin: string;
  readonly path: string;
  readonly authorization: string | null;
}

/** Where one sync's requests go, and with which method and headers: compiled once, made from each row where they say so. */
export class RequestPlan {
  /** The URL depends on the row: a 404 is about the row then. */
  readonly urlPerRow: boolean;
  /** Even the host does. */
  readonly hostPerRow: boolean;
  /** Where requests go; null when the host depends on the row. */
  readonly origin: string | null;
  readonly #url: RowText;
  readonly #method: RowText;
  readonly #headers: readonly (readonly [name: string, value: RowText])[];
  readonly #fixed: PlannedRequest | null;

  /** @throws TailraceError `destination.config` */
  constructor(settings: WebhookSettings, options: WebhookSyncOptions, target: Target) {
    const perRow = settings.batch.format === "single";
    const source = joinPath(settings.url, options.path);
    this.#url = rowText("url", source, "url", target, perRow);
    this.#method = rowText("method", options.method ?? settings.method, "text", target, perRow);
    const headers = new Map<string, string>();
    for (const map of [settings.headers, options.headers ?? {}]) {
      for (const [name, value] of Object.entries(map))
        if (typeof value === "string") headers.set(name.toLowerCase(), value);
    }
    this.#headers = Array.from(headers, ([name, value]) => [
      name,
      rowText(`headers.${name}`, value, "text", target, perRow),
    ]);
    this.urlPerRow = this.#url.constant === null;
    this.hostPerRow = this.urlPerRow && authorityOf(source) === null;
    const fixed =
      !this.urlPerRow && this.#method.constant !== null && this.#headers.every(([, value]) => value.constant !== null);
    this.#fixed = null;
    try {
      // What is the same for every row is wrong for every row.
      this.origin = this.hostPerRow ? null : parsePlace(this.#url.constant ?? authorityOf(source) ?? "").origin;
      if (this.#method.constant !== null) parseMethod(this.#method.constant);
      for (const [name, value] of this.#headers) if (value.constant !== null) assertHeader(name, value.constant);
      if (fixed) this.#fixed = this.#make((text) => text.constant ?? "");
    } catch (error) {
      throw new TailraceError("destination.config", error instanceof Error ? error.message : "wrong request");
    }
  }

  /** @throws TailraceError `delivery.mapping` when this row makes no request that may be sent. */
  request(delivery: Delivery): PlannedRequest {
    return this.#fixed ?? this.#make((text) => text.render(delivery));
  }

  #make(render: (text: RowText) => string): PlannedRequest {
    const { origin, path, authorization } = parsePlace(render(this.#url));
    const headers: Record<string, string> = authorization === null ? {} : { authorization };
    for (const [name, value] of this.#headers) headers[name] = assertHeader(name, render(value));
    return { origin, path, method: parseMethod(render(this.#method)), headers };
  }
}

function joinPath(url: string, path: string | undefined): string {
  if (path === undefined) return url;
  if (/[?#]/.test(url.replaceAll(/\{\{.*?\}\}|\{%.*?%\}/gs, ""))) {
    throw new TailraceError("destination.config", "`path` cannot be added to a `url` that has a `?` or `#`");
  }
  return url.replace(/\/$/, "") + path;
}

/** Scheme and host, when no part of them is a template. */
export function authorityOf(source: string): string | null {
  return /^\s*(https?:\/\/[^/?#{}]*)(?:[/?#]|$)/i.exec(source)?.[1] ?? null;
}

function parsePlace(text: string): Place {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:"))
    throw rowError("`url` is not an http(s) URL");
  // A value of `..` would climb out of the path that the template gives.
  if (/[/\\](?:\.|%2e){1,2}(?=[/\\]|$)/i.test(text.replace(/[?#].*$/s, ""))) {
    throw rowError("`url` has a path part of `.` or `..`");
  }
  const credentials = `${decoded(url.username)}:${decoded(url.password)}`;
  return {
    origin: url.origin,
    path: url.pathname + url.search,
    authorization: credentials === ":" ? null : `Basic ${Buffer.from(credentials).toString("base64")}`,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function parseMethod(text: string): string {
  const method = text.trim().toUpperCase();
  if (!/^[A-Z]{1,20}$/.test(method) || method === "CONNECT" || method === "TRACE") {
    throw rowError("`method` is not a method that can be sent");
  }
  return method;
}

function assertHeader(name: string, value: string): string {
  // Refused rather than cleaned: a line break in a value is never meant, and dropping it would change the value.
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
    throw rowError(
      `\`headers.${name}\` has a line break or a character that a header cannot hold; use the filter \`url_encode\``,
    );
  }
  return value;
}

function rowError(message: string): TailraceError {
  return new TailraceError("delivery.mapping", message);
}
