import type { SecretReference } from "../../kit/secret.ts";
import { readSecret } from "../../kit/secret.ts";
import type { WebhookSettings } from "./settings.ts";

/** Headers whose values are kept in files or printed by commands: read once, by one reader for all, and again after they were refused. */
export class SecretHeaders {
  readonly #references: readonly (readonly [name: string, reference: SecretReference, prefix: string])[];
  readonly #baseDirectory: string;
  #read: Promise<Readonly<Record<string, string>>> | null = null;

  constructor(headers: WebhookSettings["headers"], baseDirectory: string) {
    this.#references = Object.entries(headers).flatMap(([name, value]) =>
      typeof value === "string" ? [] : [[name.toLowerCase(), value, value.prefix] as const],
    );
    this.#baseDirectory = baseDirectory;
  }

  /** @throws TailraceError `secret.unavailable` */
  async values(): Promise<Readonly<Record<string, string>>> {
    this.#read ??= this.#readAll();
    const reading = this.#read;
    try {
      return await reading;
    } catch (error) {
      if (this.#read === reading) this.#read = null;
      throw error;
    }
  }

  /** What was sent with these values was refused. Nothing is forgotten that has been read anew meanwhile. */
  async refused(values: Readonly<Record<string, string>>): Promise<void> {
    const reading = this.#read;
    if (reading === null) return;
    const present = await reading.catch(() => null);
    if (this.#read === reading && present === values) this.#read = null;
  }

  async #readAll(): Promise<Readonly<Record<string, string>>> {
    const values: Record<string, string> = {};
    for (const [name, reference, prefix] of this.#references) {
      values[name] = prefix + (await readSecret(reference, `headers.${name}`, this.#baseDirectory));
    }
    return values;
  }
}
