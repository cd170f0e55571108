import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { TailraceError } from "../../contracts/errors.ts";
import type { TlsOptions } from "../../kit/http/connector.ts";
import type { WebhookSettings } from "./settings.ts";

const NAMES = ["ca", "cert", "key"] as const;

/** The certificates of the settings, read anew for each connection: a renewed one is taken without a restart. */
export class TlsFiles {
  readonly #settings: WebhookSettings["tls"];
  readonly #baseDirectory: string;
  #last: TlsOptions;

  /** @throws TailraceError `config.invalid` when a file cannot be read */
  constructor(settings: WebhookSettings["tls"], baseDirectory: string) {
    this.#settings = settings;
    this.#baseDirectory = baseDirectory;
    this.#last = this.#read();
  }

  /** The same object as before when nothing has changed. */
  now(): TlsOptions {
    try {
      const read = this.#read();
      if (NAMES.some((name) => read[name] !== this.#last[name])) this.#last = read;
    } catch {
      // A file that is being replaced is not there for a moment.
    }
    return this.#last;
  }

  #read(): TlsOptions {
    return Object.fromEntries(NAMES.map((name) => [name, this.#pem(name)]));
  }

  #pem(name: (typeof NAMES)[number]): string | undefined {
    const value = this.#settings[name];
    if (value === undefined || value.includes("-----BEGIN")) return value;
    try {
      return readFileSync(resolve(this.#baseDirectory, value), "utf8");
    } catch (error) {
      throw new TailraceError("config.invalid", `\`tls.${name}\`: the file cannot be read`, { cause: error });
    }
  }
}
