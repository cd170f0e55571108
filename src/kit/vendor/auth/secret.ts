import { readSecret } from "../../secret.ts";
import type { SecretSetting } from "../settings.ts";

/** A secret as it is now; one that is kept in a file or printed by a command is read once, and anew after it was refused. */
export class Secret {
  readonly #setting: SecretSetting;
  readonly #name: string;
  readonly #baseDirectory: string;
  #read: Promise<string> | null = null;

  constructor(setting: SecretSetting, name: string, baseDirectory: string) {
    this.#setting = setting;
    this.#name = name;
    this.#baseDirectory = baseDirectory;
  }

  /** @throws TailraceError `secret.unavailable` */
  async value(): Promise<string> {
    if (typeof this.#setting === "string") return this.#setting;
    this.#read ??= readSecret(this.#setting, this.#name, this.#baseDirectory);
    const reading = this.#read;
    try {
      return await reading;
    } catch (error) {
      if (this.#read === reading) this.#read = null;
      throw error;
    }
  }

  /** What was sent with this value was refused. True: the next {@link value} may be another, because it changes while we run. */
  async refused(value: string): Promise<boolean> {
    if (typeof this.#setting === "string") return false;
    const reading = this.#read;
    // Read anew meanwhile, by another request.
    if (reading === null) return true;
    const present = await reading.catch(() => null);
    if (present !== value) return true;
    if (this.#read === reading) this.#read = null;
    return (await this.value()) !== value;
  }
}
