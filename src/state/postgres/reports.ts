import { TailraceError } from "../../contracts/errors.ts";
import type { StatusReport } from "../../contracts/state.ts";
import { checksum } from "../checksum.ts";
import type { Holder } from "./leases.ts";
import type { Names } from "./schema.ts";
import type { Session, Sessions } from "./sessions.ts";
import { corrupt } from "./state-error.ts";

export interface StoredReport {
  readonly report: StatusReport;
  readonly reportedAtMs: number;
}

/** The rows of table `report`: the last that each sync said of itself. */
export class Reports {
  readonly #names: Names;
  readonly #sessions: Sessions;
  readonly #where: string;
  /** Not yet written, by sync: the last counts. */
  readonly #unwritten = new Map<string, { readonly holder: Holder; readonly text: string }>();
  #writing: Promise<void> | null = null;

  constructor(names: Names, sessions: Sessions, where: string) {
    this.#names = names;
    this.#sessions = sessions;
    this.#where = where;
  }

  /** Written soon, without anybody waiting for it; what cannot be written is let go. */
  put(holder: Holder, report: StatusReport): void {
    this.#unwritten.set(holder.sync, { holder, text: JSON.stringify(report, wellFormed) });
    void this.flush();
  }

  /** Resolves when all that was put is written, or given up. */
  async flush(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
    if (this.#unwritten.size === 0) return;
    this.#writing = this.#write().finally(() => {
      this.#writing = null;
    });
    await this.#writing;
  }

  async #write(): Promise<void> {
    const waiting = [...this.#unwritten.values()];
    this.#unwritten.clear();
    try {
      await this.#sessions.once(
        `WITH lazily AS (SELECT pg_catalog.set_config('synchronous_commit', 'off', true))
         INSERT INTO ${this.#names.report} (sync, report, reported_at, checksum)
         SELECT new.sync, new.report, pg_catalog.clock_timestamp(), new.checksum
         FROM lazily, unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS new (sync, owner, report, checksum)
         JOIN ${this.#names.lease} AS lease ON lease.sync = new.sync AND lease.owner = new.owner
         ON CONFLICT (sync) DO UPDATE
           SET report = excluded.report, reported_at = excluded.reported_at, checksum = excluded.checksum`,
        [
          waiting.map(({ holder }) => holder.sync),
          waiting.map(({ holder }) => holder.owner),
          waiting.map(({ text }) => text),
          waiting.map(({ holder, text }) => checksum("report", [holder.sync, text])),
        ],
      );
    } catch (error) {
      // A status line is worth nothing to a sync; the next one will tell.
      TailraceError.from(error);
    }
  }

  async all(session: Session): Promise<ReadonlyMap<string, StoredReport>> {
    const rows = await session.rows(
      `SELECT sync, report, (extract(epoch FROM reported_at) * 1000)::bigint::text AS at, checksum
       FROM ${this.#names.report}`,
    );
    return new Map(
      rows.map((row) => {
        const sync = row["sync"] ?? "";
        const text = row["report"] ?? "";
        if (checksum("report", [sync, text]) !== row["checksum"])
          throw corrupt(this.#where, "a status report does not match its checksum");
        return [sync, { report: JSON.parse(text) as StatusReport, reportedAtMs: Number(row["at"]) }];
      }),
    );
  }

  async remove(session: Session, sync: string): Promise<void> {
    await session.rows(`DELETE FROM ${this.#names.report} WHERE sync = $1`, [sync]);
  }
}

function wellFormed(_key: string, value: unknown): unknown {
  return typeof value === "string" ? value.toWellFormed() : value;
}
