// What is looked after beside a running stream: that nothing was taken out of the publication, and that the slot
// moves on a server where nothing happens in our database.
import { TailraceError } from "../../contracts/errors.ts";
import type { Log } from "../../contracts/log.ts";
import { membershipChange } from "./continuity.ts";
import { type Publication, readPublication } from "./publication.ts";
import { sqlState } from "../../kit/postgres/errors.ts";
import type { SqlSession } from "./sql-session.ts";
import { answerSoon } from "./stream-catalogue.ts";

export interface StreamWatchOptions {
  readonly side: SqlSession;
  readonly log: Log;
  readonly publicationName: string;
  /** As it was when the source was opened. */
  readonly publication: Publication;
  /** Names by OID. */
  readonly tables: ReadonlyMap<string, string>;
  readonly heartbeatMs: number;
  /** How often the publication is looked at. */
  readonly membershipMs: number;
  readonly fail: (error: Error) => void;
}

export class StreamWatch {
  readonly #options: StreamWatchOptions;
  readonly #timers: NodeJS.Timeout[] = [];
  #heart: NodeJS.Timeout | null = null;
  #beating = false;
  #serverLsn = 0n;
  #beatAt = -1n;
  #stopped = false;

  constructor(options: StreamWatchOptions) {
    this.#options = options;
    this.#timers.push(setInterval(() => void this.#lookAtPublication(), options.membershipMs));
    if (options.heartbeatMs > 0) this.#heart = setInterval(() => void this.#beat(), options.heartbeatMs);
  }

  progress(serverLsn: bigint): void {
    if (serverLsn > this.#serverLsn) this.#serverLsn = serverLsn;
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#stopHeart();
  }

  async #lookAtPublication(): Promise<void> {
    const { side, publicationName, publication, tables, fail, log } = this.#options;
    try {
      const now = await side.use(answerSoon(), (client) => readPublication(client, publicationName));
      const change = membershipChange(publication, now, tables);
      if (change !== null && !this.#stopped) fail(new TailraceError("source.gap.publication", change));
    } catch (error) {
      // Not knowing is not a gap; the next look, or the stream itself, will tell.
      log.debug("the publication could not be looked at", { code: TailraceError.from(error).code });
    }
  }

  #stopHeart(): void {
    if (this.#heart !== null) clearInterval(this.#heart);
    this.#heart = null;
  }

  async #beat(): Promise<void> {
    const { side, log } = this.#options;
    if (this.#beating || this.#heart === null) return;
    if (this.#serverLsn !== this.#beatAt) {
      this.#beatAt = this.#serverLsn;
      return;
    }
    this.#beating = true;
    try {
      const allowed = await side.use(answerSoon(), async (client) => {
        try {
          await client.query("SELECT pg_logical_emit_message(true, 'tailrace', ''::text)");
          return true;
        } catch (error) {
          if (sqlState(error) === "42501") return false;
          throw error;
        }
      });
      if (allowed) return;
      this.#stopHeart();
      log.warn(
        "the heartbeat is off, because the role may not write it: while the database is idle, the server keeps more log for us than it needs to. " +
          "GRANT EXECUTE ON FUNCTION pg_catalog.pg_logical_emit_message TO the role, or set heartbeat_ms: 0",
      );
    } catch (error) {
      log.debug("the heartbeat could not be written", { code: TailraceError.from(error).code });
    } finally {
      this.#beating = false;
    }
  }
}
