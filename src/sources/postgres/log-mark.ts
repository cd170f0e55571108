import type pg from "pg";
import type { Position } from "../../contracts/change.ts";
import { sqlState } from "../../kit/postgres/errors.ts";
import { parseLsn, positionAt } from "./position.ts";
import type { SqlSession } from "./sql-session.ts";

/** Notes places in the log. */
export class LogMark {
  readonly #session: SqlSession;
  #mayEmit = true;

  constructor(session: SqlSession) {
    this.#session = session;
  }

  /** As {@link set}, in the session that it was made with. */
  note(signal: AbortSignal): Promise<Position> {
    return this.#session.use(signal, (client) => this.set(client));
  }

  // A transactional message is flushed, and the reader of the log is sure to come past it soon, however quiet the
  // database is.
  /** A place that every transaction which is visible by now is before. Outside of a transaction. */
  async set(client: pg.Client): Promise<Position> {
    if (this.#mayEmit) {
      try {
        const { rows } = await client.query<{ lsn: string }>(
          "SELECT pg_logical_emit_message(true, 'tailrace', ''::text)::text AS lsn",
        );
        return positionAt(parseLsn(rows[0]!.lsn));
      } catch (error) {
        if (sqlState(error) !== "42501") throw error;
        this.#mayEmit = false;
      }
    }
    const { rows } = await client.query<{ lsn: string }>("SELECT pg_current_wal_insert_lsn()::text AS lsn");
    return positionAt(parseLsn(rows[0]!.lsn));
  }
}
