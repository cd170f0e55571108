import type {
  Capabilities,
  Destination,
  DestinationContext,
  Limits,
  Target,
  Writer,
} from "../../contracts/destination.ts";
import type { Finding } from "../../contracts/finding.ts";
import { describeAddress } from "../../kit/postgres/address.ts";
import { clientConfig } from "../../kit/postgres/client-config.ts";
import { checkTargets } from "./check.ts";
import { addColumnsSql, createTableSql } from "./create-table.ts";
import { ensureProgressTable } from "./progress.ts";
import { ask, type Session, Sessions } from "./sessions.ts";
import type { Settings } from "./settings.ts";
import { parseTable, readTable, type TableRef } from "./table.ts";
import { PostgresWriter } from "./writer.ts";

const CAPABILITIES: Capabilities = {
  modes: ["upsert", "mirror", "insert", "update", "event"],
  deletes: ["delete", "clear", "ignore", "archive"],
  partialUpdates: true,
  idempotencyKey: true,
};

/** A file of `tls` that cannot be read is a mistake of the configuration. */
const CODES = { config: "destination.config", tls: "destination.config" } as const;

export class PostgresDestination implements Destination {
  readonly limits: Limits;
  readonly capabilities = CAPABILITIES;
  readonly #settings: Settings;
  readonly #context: DestinationContext;
  readonly #sessions: Sessions;

  constructor(settings: Settings, context: DestinationContext) {
    this.#settings = settings;
    this.#context = context;
    this.#sessions = new Sessions(
      () => clientConfig(settings, { baseDirectory: context.baseDirectory, codes: CODES }),
      settings.pool,
    );
    this.limits = {
      batchRows: 5000,
      batchBytes: 4 * 1024 * 1024,
      concurrency: settings.pool,
      perSecond: null,
      batchAgeMs: 5,
    };
  }

  check(targets: readonly Target[], signal: AbortSignal): Promise<readonly Finding[]> {
    return checkTargets(this.#sessions, this.#settings, targets, signal);
  }

  async open(target: Target, signal: AbortSignal): Promise<Writer> {
    const ref = parseTable(target.object, this.#settings.schema);
    await ask(this.#sessions, signal, async (session) => {
      await ensureProgressTable(session);
      await this.#prepareTable(session, ref, target);
    });
    return new PostgresWriter({
      sessions: this.#sessions,
      target,
      ref,
      addColumns: this.#settings.add_columns,
      log: this.#context.log,
    });
  }

  /** Creates what the settings say to create. That the table fits is what `check` and the first batch find out. */
  async #prepareTable(session: Session, ref: TableRef, target: Target): Promise<void> {
    const table = await readTable(session, ref);
    const fields = { table: `${ref.schema}.${ref.name}`, database: describeAddress(this.#settings) };
    if (!table && this.#settings.create_tables) {
      await session.query(await createTableSql(session, ref, target));
      this.#context.log.info("created a table", fields);
    } else if (table && this.#settings.add_columns) {
      const sql = await addColumnsSql(session, table, target.shape.fields);
      if (sql !== null) {
        await session.query(sql);
        this.#context.log.info("added columns", fields);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sessions[Symbol.asyncDispose]();
  }
}
