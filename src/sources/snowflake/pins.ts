// Streams that stay where a scan begins, while the model's own moves on.
import { type FeedNames, nameText, type ObjectName, sqlName } from "./names.ts";
import { ourStreams } from "./metadata.ts";
import type { SnowflakeSession, StatementOptions } from "./session.ts";

/** Nobody waits for longer until one is dropped. */
const DROP_MS = 30_000;

export class Pins {
  readonly #session: SnowflakeSession;
  readonly #names: FeedNames;
  readonly #held = new Set<string>();

  constructor(session: SnowflakeSession, names: FeedNames) {
    this.#session = session;
    this.#names = names;
  }

  /** `on`: `TABLE "A"."B"."C"`. While nobody reads from the model's stream: it begins where that is now. */
  async make(on: string, options: StatementOptions): Promise<ObjectName> {
    const { pin, stream } = this.#names;
    const made = { ...pin, name: `${pin.name}_${Date.now().toString(36).toUpperCase()}_${this.#held.size}` };
    this.#held.add(made.name);
    await this.#session.rows(
      `CREATE OR REPLACE STREAM ${sqlName(made)} ON ${on} AT(STREAM => ${nameText(stream)})`,
      options,
    );
    return made;
  }

  /** Never rejects: one that is left over is dropped at the next start. */
  async drop(pin: ObjectName, what: string): Promise<void> {
    const signal = AbortSignal.timeout(DROP_MS);
    await this.#session.rows(`DROP STREAM IF EXISTS ${sqlName(pin)}`, { what, signal }).catch(() => {});
    this.#held.delete(pin.name);
  }

  /** Those of scans that were killed. */
  async dropLeftOver(options: StatementOptions): Promise<void> {
    const { pin } = this.#names;
    for (const { name } of await ourStreams(this.#session, pin.database, pin.name, options))
      if (!this.#held.has(name!))
        await this.#session.rows(`DROP STREAM IF EXISTS ${sqlName({ ...pin, name: name! })}`, options);
  }
}
