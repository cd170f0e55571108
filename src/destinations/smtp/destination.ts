import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  type Delivery,
  type Destination,
  type DestinationContext,
  DELIVERED,
  type Outcome,
  type Target,
  type Writer,
} from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import { AddressGuard } from "../../kit/address-guard.ts";
import { Secret } from "../../kit/vendor/auth/secret.ts";
import { checkFields } from "../../kit/vendor/check-fields.ts";
import { Connections } from "./connections.ts";
import { type Library, loadLibrary } from "./library.ts";
import { FIELDS, messageOf } from "./message.ts";
import { mailOutcome } from "./replies.ts";
import { type SmtpOptions, type SmtpSettings, options as optionsSchema } from "./settings.ts";

export const MODES = ["event", "insert"] as const;

export class SmtpDestination implements Destination {
  readonly limits = { batchRows: 1, batchBytes: 10_000_000, concurrency: 4, perSecond: null, batchAgeMs: 0 };
  readonly capabilities = { modes: MODES, deletes: [], partialUpdates: false, idempotencyKey: false };
  readonly #connections: Connections;
  #library: Promise<Library> | null = null;

  constructor(settings: SmtpSettings, { baseDirectory }: DestinationContext) {
    const { password, ca } = settings;
    this.#connections = new Connections({
      settings,
      library: () => this.#loaded(),
      guard: new AddressGuard(settings.allow_private),
      password: password === undefined ? null : new Secret(password, "password", baseDirectory),
      ca: ca === undefined ? undefined : pemOf(ca, baseDirectory),
    });
  }

  async check(targets: readonly Target[], signal: AbortSignal): Promise<readonly Finding[]> {
    try {
      await this.#connections.check(signal);
    } catch (error) {
      return [findingOf(error, undefined, signal)];
    }
    return targets.flatMap((target) => {
      try {
        assertTarget(target);
        return checkFields(target, FIELDS, "smtp", "A mail");
      } catch (error) {
        return [findingOf(error, target.sync, signal)];
      }
    });
  }

  // An async function, so that what is wrong with the target rejects.
  async open(target: Target): Promise<Writer> {
    assertTarget(target);
    const options = optionsSchema.parse(target.options);
    return {
      write: async ([row], signal) => (row === undefined ? [] : [await this.#send(row, options, signal)]),
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async #send(row: Delivery, options: SmtpOptions, signal: AbortSignal): Promise<Outcome> {
    const message = await messageOf(row, options, await this.#loaded());
    try {
      const { accepted } = await this.#connections.send(message, signal);
      if (accepted.length === 1) return DELIVERED;
    } catch (error) {
      if (signal.aborted || error instanceof TailraceError) throw error;
      return mailOutcome(error, row);
    }
    throw new TailraceError("destination.unknown", "The mail server's answer names no recipient");
  }

  #loaded(): Promise<Library> {
    return (this.#library ??= loadLibrary());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connections[Symbol.asyncDispose]();
  }
}

/** @throws TailraceError `destination.config` */
function assertTarget({ mode, shape }: Target): void {
  const refuse = (what: string): never => {
    throw new TailraceError("destination.config", `SMTP: ${what}`);
  };
  if (mode !== "event" && mode !== "insert")
    refuse(`mode \`${mode}\` is not possible: a mail cannot be changed or taken back; it can do ${MODES.join(", ")}`);
  if (!shape.fields.some(({ name }) => name === "text" || name === "html"))
    refuse("a mail needs a field `text` or `html`");
}

/** @throws TailraceError `config.invalid` */
function pemOf(ca: string, baseDirectory: string): string {
  if (ca.includes("-----BEGIN")) return ca;
  try {
    return readFileSync(resolve(baseDirectory, ca), "utf8");
  } catch (error) {
    throw new TailraceError("config.invalid", "`ca`: the file cannot be read", { cause: error });
  }
}

function findingOf(error: unknown, subject: string | undefined, signal: AbortSignal): Finding {
  signal.throwIfAborted();
  const { code, message, hint } = TailraceError.from(error);
  return { level: "error", code, message, fix: hint, subject };
}
