import type { Destination } from "../../contracts/destination.ts";
import type { Log } from "../../contracts/log.ts";
import { Gate } from "../../engine/delivery/gate.ts";
import type { Config } from "../config/load.ts";
import { createDestination } from "../project.ts";

/** A destination and its gate, shared by every sync that delivers there. */
export interface OpenDestination {
  readonly destination: Destination;
  readonly gate: Gate;
}

/** The destinations of a configuration, each made when first asked for. */
export class Destinations implements AsyncDisposable {
  readonly #config: Config;
  readonly #log: Log;
  readonly #open = new Map<string, OpenDestination>();

  constructor(config: Config, log: Log) {
    this.#config = config;
    this.#log = log;
  }

  get(name: string): OpenDestination {
    let open = this.#open.get(name);
    if (open === undefined) {
      const declared = this.#config.destinations.get(name)!;
      const destination = createDestination(this.#config, name, this.#log);
      const gate = new Gate({
        concurrency: declared.concurrency ?? destination.limits.concurrency,
        perSecond: declared.rate ?? destination.limits.perSecond,
      });
      open = { destination, gate };
      this.#open.set(name, open);
    }
    return open;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { destination, gate } of this.#open.values()) {
      gate.close();
      await destination[Symbol.asyncDispose]();
    }
    this.#open.clear();
  }
}
