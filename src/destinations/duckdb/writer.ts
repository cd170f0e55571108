import {
  DELIVERED,
  type Delivery,
  type Field,
  type Outcome,
  type Target,
  type TransactionalWriter,
  type Writer,
} from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Database } from "../../kit/duckdb/database.ts";
import { BatchPlanner, type Group } from "../../kit/table-writer/batch-plan.ts";
import { batchDigest, type Step } from "../../kit/table-writer/own-progress.ts";
import { addColumnsSql } from "./create-table.ts";
import type { DatabaseFile } from "./database-file.ts";
import { encoderOf } from "./encode.ts";
import { databaseError, type Phase } from "./errors.ts";
import { StoredProgress } from "./progress.ts";
import { STAGING, stagingSql, writeSql } from "./statements.ts";
import { readTable, type TableRef, type TargetColumn, type TargetTable, tableSql } from "./table.ts";

type Rows = Group<TargetColumn, string>;

interface Ready {
  readonly database: Database;
  readonly table: TargetTable;
  readonly planner: BatchPlanner<TargetColumn, string>;
}

export interface WriterOptions {
  readonly file: DatabaseFile;
  readonly target: Target;
  readonly ref: TableRef;
  readonly addColumns: boolean;
}

export class DuckdbWriter implements Writer {
  readonly transactional: TransactionalWriter;
  readonly #options: WriterOptions;
  readonly #progress: StoredProgress;
  #ready: Ready | null = null;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#progress = new StoredProgress(options.target.sync);
    this.transactional = {
      load: (signal) => ask(options.file, signal, (database) => this.#progress.load(database)),
      writeWith: (batch, progress, signal) => this.#write(batch, progress, signal),
    };
  }

  write(batch: readonly Delivery[], signal: AbortSignal): Promise<readonly Outcome[]> {
    return this.#write(batch, null, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #write(batch: readonly Delivery[], progress: string | null, signal: AbortSignal): Promise<readonly Outcome[]> {
    const step = progress === null ? null : { progress, batch: batchDigest(batch) };
    let phase = "opening" as Phase;
    try {
      await this.#options.file.use(signal, async (database) => {
        phase = "working";
        await database.rows("BEGIN");
        const stored = await this.#work(database, batch, step);
        phase = "committing";
        await database.rows("COMMIT");
        if (stored !== null) this.#progress.committed(stored);
      });
      return batch.map(() => DELIVERED);
    } catch (error) {
      // A column that was added is not there any more.
      this.#ready = null;
      if (signal.aborted && error === signal.reason && phase !== "committing") throw error;
      const failure = signal.aborted
        ? new TailraceError("destination.unknown", "the commit was interrupted")
        : databaseError(error, phase);
      if (step !== null && failure.consequence === "unknown-outcome") this.#progress.unknown(step);
      throw failure;
    }
  }

  /** Returns the progress that the transaction leaves behind. */
  async #work(database: Database, batch: readonly Delivery[], step: Step | null): Promise<Step | null> {
    const { table, planner } = await this.#readyFor(database, batch);
    const groups = planner.plan(batch);
    const taken = step === null ? null : await this.#progress.take(database, step);
    if (taken !== null && !taken.taken) return taken.stored;
    for (const group of groups) await writeGroup(database, table, group);
    return taken?.stored ?? null;
  }

  /** Nobody can alter the table while the file is open. */
  async #readyFor(database: Database, batch: readonly Delivery[]): Promise<Ready> {
    const { ref, target, addColumns } = this.#options;
    if (this.#ready?.database !== database) this.#ready = null;
    const table = this.#ready?.table ?? (await readTable(database, ref));
    if (table === null) {
      throw new TailraceError(
        "destination.config",
        `table ${tableSql(ref)} does not exist: create it, correct \`object\`, or set \`create_tables: true\``,
      );
    }
    // For fields that came up after the sync began: a column added at the source.
    const missing = addColumns ? addColumnsSql(table, fieldsOf(batch)) : [];
    for (const sql of missing) await database.rows(sql);
    if (this.#ready !== null && missing.length === 0) return this.#ready;
    const whole = missing.length === 0 ? table : ((await readTable(database, ref)) ?? table);
    this.#ready = { database, table: whole, planner: new BatchPlanner(whole, target, encoderOf) };
    return this.#ready;
  }
}

function fieldsOf(batch: readonly Delivery[]): readonly Field[] {
  const shapes = new Set(batch.map((delivery) => delivery.record.shape));
  return [
    ...new Map([...shapes].flatMap(({ fields }) => fields.map((field) => [field.name, field] as const))).values(),
  ];
}

async function writeGroup(database: Database, table: TargetTable, { write, rows }: Rows): Promise<void> {
  const sql = writeSql(table, write);
  if (sql === null) return;
  await database.rows(stagingSql(rows[0]!.length));
  const appender = await database.connection.createAppender(STAGING, "main", "temp");
  try {
    for (const row of rows) {
      for (const cell of row) {
        if (cell === null) appender.appendNull();
        else appender.appendVarchar(cell);
      }
      appender.endRow();
    }
  } finally {
    appender.closeSync();
  }
  await database.rows(sql);
}

/** As {@link DatabaseFile.use}, for work that commits nothing that matters: errors come out as ours. */
export async function ask<T>(
  file: DatabaseFile,
  signal: AbortSignal,
  work: (database: Database) => Promise<T>,
): Promise<T> {
  try {
    return await file.use(signal, work);
  } catch (error) {
    signal.throwIfAborted();
    throw databaseError(error, "working");
  }
}
