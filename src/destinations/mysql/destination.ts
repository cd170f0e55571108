import type {
  Capabilities,
  Destination,
  DestinationContext,
  Limits,
  Target,
  Writer,
} from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import { addressOf, describeAddress } from "../../kit/mysql/address.ts";
import { connectionOptions } from "../../kit/mysql/connection-options.ts";
import { checkTargets } from "./check.ts";
import { addColumnsSql, createTableSql } from "./create-table.ts";
import { ensureProgressTable } from "./progress.ts";
import { ask, type Session, Sessions } from "./sessions.ts";
import type { Settings } from "./settings.ts";
import { parseTable, readTable, type TableRef } from "./table.ts";
import { MysqlWriter } from "./writer.ts";

const CAPABILITIES: Capabilities = {
  modes: ["upsert", "mirror", "insert", "update", "event"],
  deletes: ["delete", "clear", "ignore", "archive"],
  partialUpdates: true,
  idempotencyKey: true,
};

/** A file of `tls` that cannot be read is a mistake of the configuration. */
const CODES = { config: "destination.config", tls: "destination.config" } as const;

export class MysqlDestination implements Destination {
  readonly limits: Limits;
  readonly capabilities = CAPABILITIES;
  readonly #settings: Settings;
  readonly #context: DestinationContext;
  readonly #sessions: Sessions;
  /** Of tables that are named without one, and of the progress. */
  readonly #database: string;

  constructor(settings: Settings, context: DestinationContext) {
    const address = addressOf(settings);
    if ("problem" in address || address.database === undefined)
      throw new TailraceError("destination.config", "`database` is not given");
    this.#database = address.database;
    this.#settings = settings;
    this.#context = context;
    this.#sessions = new Sessions(
      () => connectionOptions(settings, { baseDirectory: context.baseDirectory, codes: CODES }),
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
    return checkTargets(this.#sessions, this.#settings, this.#database, targets, signal);
  }

  async open(target: Target, signal: AbortSignal): Promise<Writer> {
    const ref = parseTable(target.object, this.#database);
    await ask(this.#sessions, signal, async (session) => {
      await ensureProgressTable(session, this.#database);
      await this.#prepareTable(session, ref, target);
    });
    return new MysqlWriter({
      sessions: this.#sessions,
      target,
      ref,
      database: this.#database,
      addColumns: this.#settings.add_columns,
    });
  }

  /** Creates what the settings say to create. That the table fits is what `check` and the first batch find out. */
  async #prepareTable(session: Session, ref: TableRef, target: Target): Promise<void> {
    const table = await readTable(session, ref);
    const fields = { table: `${ref.database}.${ref.name}`, database: describeAddress(this.#settings) };
    if (!table && this.#settings.create_tables) {
      await session.command(await createTableSql(session, ref, target));
      this.#context.log.info("created a table", fields);
    } else if (table && this.#settings.add_columns) {
      const sql = addColumnsSql(table, target.shape.fields);
      if (sql !== null) {
        await session.command(sql);
        this.#context.log.info("added columns", fields);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sessions[Symbol.asyncDispose]();
  }
}
