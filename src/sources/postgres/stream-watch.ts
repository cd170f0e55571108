// What is looked after beside a running stream: that nothing was taken out of the publication, and that the slot
// moves on, on a server where nothing happens in our database as well as on one where much does.
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

/**
 * A slot's start moves only to places where the server has noted which transactions run. By itself it does that every 15 s, in which a busy
 * server writes hundreds of megabytes that it then keeps for us. So we ask for a note each time that it has written this much.
 */
const NOTE_EVERY_BYTES = 4n * 1_048_576n;

export class StreamWatch {
  readonly #options: StreamWatchOptions;
  readonly #timers: NodeJS.Timeout[] = [];
  #heart: NodeJS.Timeout | null = null;
  #beating = false;
  #serverLsn = 0n;
  #beatAt = -1n;
  #noting = false;
  #notedAt = 0n;
  #stopped = false;

  constructor(options: StreamWatchOptions) {
    this.#options = options;
    this.#timers.push(setInterval(() => void this.#lookAtPublication(), options.membershipMs));
    if (options.heartbeatMs > 0) this.#heart = setInterval(() => void this.#beat(), options.heartbeatMs);
  }

  progress(serverLsn: bigint): void {
    if (serverLsn <= this.#serverLsn) return;
    this.#serverLsn = serverLsn;
    if (this.#notedAt === 0n) this.#notedAt = serverLsn;
    else if (serverLsn - this.#notedAt >= NOTE_EVERY_BYTES) void this.#note();
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

  async #note(): Promise<void> {
    const { side, log } = this.#options;
    if (this.#noting || this.#heart === null) return;
    this.#noting = true;
    this.#notedAt = this.#serverLsn;
    try {
      // From 16 on, and for roles that were granted it; others wait for the server's own notes.
      const noted = await side.use(answerSoon(), async (client) => {
        const { rows } = await client.query<{ allowed: string | null }>(
          "SELECT has_function_privilege(to_regprocedure('pg_catalog.pg_log_standby_snapshot()'), 'EXECUTE')::text AS allowed",
        );
        if (rows[0]!.allowed !== "true") return false;
        await client.query("SELECT pg_catalog.pg_log_standby_snapshot()");
        return true;
      });
      this.#noting = !noted;
    } catch (error) {
      this.#noting = false;
      log.debug("the running transactions could not be noted", { code: TailraceError.from(error).code });
    }
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
