import { resolve } from "node:path";
import type {
  Capabilities,
  Destination,
  DestinationContext,
  Limits,
  Target,
  Writer,
} from "../../contracts/destination.ts";
import type { Finding } from "../../contracts/finding.ts";
import { checkTargets } from "./check.ts";
import { addColumnsSql, createTableSql } from "./create-table.ts";
import { DatabaseFile } from "./database-file.ts";
import { ensureProgressTable } from "./progress.ts";
import type { Settings } from "./settings.ts";
import { parseTable, readTable } from "./table.ts";
import { ask, DuckdbWriter } from "./writer.ts";

const CAPABILITIES: Capabilities = {
  modes: ["upsert", "mirror", "insert", "update", "event"],
  deletes: ["delete", "clear", "ignore", "archive"],
  partialUpdates: true,
  idempotencyKey: true,
};

/** A commit costs some milliseconds, whatever it holds, and there is one at a time. */
const LIMITS: Limits = {
  batchRows: 20_000,
  batchBytes: 8 * 1024 * 1024,
  concurrency: 1,
  perSecond: null,
  batchAgeMs: 50,
};

export class DuckdbDestination implements Destination {
  readonly limits = LIMITS;
  readonly capabilities = CAPABILITIES;
  readonly #settings: Settings;
  readonly #context: DestinationContext;
  readonly #file: DatabaseFile;

  constructor(settings: Settings, context: DestinationContext) {
    this.#settings = settings;
    this.#context = context;
    this.#file = new DatabaseFile(resolve(context.baseDirectory, settings.path), settings);
  }

  check(targets: readonly Target[], signal: AbortSignal): Promise<readonly Finding[]> {
    return checkTargets(this.#file, this.#settings, targets, signal);
  }

  /** Creates what the settings say to create. That the table fits is what `check` and the first batch find out. */
  async open(target: Target, signal: AbortSignal): Promise<Writer> {
    const ref = parseTable(target.object, this.#settings.schema);
    const { create_tables, add_columns } = this.#settings;
    await ask(this.#file, signal, async (database) => {
      await ensureProgressTable(database);
      const table = await readTable(database, ref);
      const missing =
        table !== null
          ? add_columns
            ? addColumnsSql(table, target.shape.fields)
            : []
          : create_tables
            ? [createTableSql(ref, target)]
            : [];
      for (const sql of missing) await database.rows(sql);
      if (missing.length > 0)
        this.#context.log.info(table === null ? "created a table" : "added columns", {
          table: `${ref.schema}.${ref.name}`,
        });
    });
    return new DuckdbWriter({ file: this.#file, target, ref, addColumns: add_columns });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }
}
