// The webhook destination as the engine opens it, for tests.
import { onTestFinished } from "vitest";
import type { Destination, Target, Writer } from "../../src/contracts/destination.ts";
import type { Log } from "../../src/contracts/log.ts";
import webhook from "../../src/destinations/webhook/index.ts";
import { shapeOf } from "./deliveries.ts";

export const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

/** A text, a number, a null and a boolean. */
export const people = shapeOf({ id: "bigint", name: "text", total: "numeric", active: "boolean" });

export function target(more: Partial<Target> = {}): Target {
  return {
    sync: "people",
    object: null,
    mode: "upsert",
    onDelete: { kind: "delete" },
    match: ["id"],
    shape: people,
    options: undefined,
    ...more,
  };
}

export function webhookDestination(settings: Readonly<Record<string, unknown>>): Destination {
  const parsed = webhook.settings.parse({ allow_private: true, timeout_ms: 5000, ...settings });
  const destination = webhook.create(parsed, { name: "hook", log: silent, baseDirectory: import.meta.dirname });
  onTestFinished(() => destination[Symbol.asyncDispose]());
  return destination;
}

export function openWebhook(settings: Readonly<Record<string, unknown>>, more: Partial<Target> = {}): Promise<Writer> {
  return webhookDestination(settings).open(target(more), new AbortController().signal);
}
