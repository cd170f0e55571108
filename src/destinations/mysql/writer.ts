import {
  DELIVERED,
  type Delivery,
  type Outcome,
  type Target,
  type TransactionalWriter,
  type Writer,
} from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { BatchPlanner, type Group } from "../../kit/table-writer/batch-plan.ts";
import { batchDigest, type Step } from "../../kit/table-writer/own-progress.ts";
import { addColumnsSql } from "./create-table.ts";
import { encoderOf } from "./encode.ts";
import { databaseError, type Phase } from "./errors.ts";
import { quoteName } from "./names.ts";
import { StoredProgress } from "./progress.ts";
import { chunksOf } from "./row-chunks.ts";
import { ask, type Cell, type Session, type Sessions, transaction } from "./sessions.ts";
import { insertParts, placeholders, stagedSql, stagingDefinition, type Write } from "./statements.ts";
import { readTable, type TableRef, type TargetColumn, type TargetTable, tableSql } from "./table.ts";

type Planner = BatchPlanner<TargetColumn, Cell>;
type Rows = Group<TargetColumn, Cell>;

export interface WriterOptions {
  readonly sessions: Sessions;
  readonly target: Target;
  readonly ref: TableRef;
  /** Where the progress is kept. */
  readonly database: string;
  readonly addColumns: boolean;
}

export class MysqlWriter implements Writer {
  readonly transactional: TransactionalWriter;
  readonly #options: WriterOptions;
  readonly #progress: StoredProgress;
  #table: TargetTable | null = null;
  #planner: Planner | null = null;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#progress = new StoredProgress(options.target.sync, options.database);
    this.transactional = {
      load: (signal) => ask(options.sessions, signal, (session) => this.#progress.load(session)),
      writeWith: (batch, progress, signal) => this.#write(batch, progress, signal),
    };
  }

  write(batch: readonly Delivery[], signal: AbortSignal): Promise<readonly Outcome[]> {
    return this.#write(batch, null, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #write(batch: readonly Delivery[], progress: string | null, signal: AbortSignal): Promise<readonly Outcome[]> {
    const step = progress === null ? null : { progress, batch: batchDigest(batch) };
    let phase: Phase = "connecting";
    try {
      await this.#options.sessions.use(signal, async (session) => {
        phase = "working";
        const [table, planner] = await this.#ready(session, batch);
        const groups = planner.plan(batch);
        for (const { write } of groups) if (isStaged(write)) await stagingTable(session, table, write);
        const stored = await transaction(
          session,
          () => (phase = "committing"),
          () => this.#work(session, table, groups, step),
        );
        if (stored !== null) this.#progress.committed(stored);
      });
      return batch.map(() => DELIVERED);
    } catch (error) {
      // Whatever the table looked like, it may look otherwise now.
      this.#planner = null;
      const failure = databaseError(error, phase);
      if (step !== null && failure.consequence === "unknown-outcome") this.#progress.unknown(step);
      throw failure;
    }
  }

  /** Returns the progress that the transaction leaves behind. */
  async #work(session: Session, table: TargetTable, groups: readonly Rows[], step: Step | null): Promise<Step | null> {
    if (step !== null && !(await this.#progress.take(session, step))) return this.#progress.repeated(session, step);
    for (const group of groups) await writeGroup(session, table, group);
    return step;
  }

  async #ready(session: Session, batch: readonly Delivery[]): Promise<readonly [TargetTable, Planner]> {
    const { target, ref, addColumns } = this.#options;
    if (addColumns && this.#table) await this.#addColumns(session, this.#table, batch);
    if (this.#table && this.#planner) return [this.#table, this.#planner];
    let table = await readTable(session, ref);
    if (table && addColumns && (await this.#addColumns(session, table, batch))) table = await readTable(session, ref);
    if (!table) {
      throw new TailraceError(
        "destination.config",
        `table ${tableSql(ref)} does not exist: create it, correct \`object\`, or set \`create_tables: true\``,
      );
    }
    this.#table = table;
    this.#planner = new BatchPlanner(table, target, encoderOf);
    return [table, this.#planner];
  }

  /** For fields that came up after the sync began: a column added at the source. */
  async #addColumns(session: Session, table: TargetTable, batch: readonly Delivery[]): Promise<boolean> {
    const shapes = new Set(batch.map((delivery) => delivery.record.shape));
    const fields = new Map([...shapes].flatMap((shape) => shape.fields.map((field) => [field.name, field] as const)));
    const sql = addColumnsSql(table, [...fields.values()]);
    if (sql === null) return false;
    await session.command(sql);
    this.#planner = null;
    return true;
  }
}

function isStaged({ kind, columns }: Write): boolean {
  return kind === "delete" || (kind === "update" && columns.length > 0);
}

async function writeGroup(session: Session, table: TargetTable, { write, rows }: Rows): Promise<void> {
  if (write.kind !== "delete" && write.kind !== "update") {
    const { head, tail } = insertParts(table, write);
    await insert(session, write, rows, head, tail);
    return;
  }
  if (!isStaged(write)) return;
  const staging = await stagingTable(session, table, write);
  await session.run(`DELETE FROM ${staging}`);
  const columns = [...write.match, ...write.columns].map(({ name }) => quoteName(name));
  await insert(session, write, rows, `INSERT INTO ${staging} (${columns.join(", ")}) VALUES `, "");
  const sql = stagedSql(table, write, staging);
  if (sql !== null) await session.run(sql);
}

async function insert(session: Session, write: Write, rows: Rows["rows"], head: string, tail: string): Promise<void> {
  const one = placeholders(write);
  for (const chunk of chunksOf(rows, session.maxPacket)) {
    await session.run(head + Array.from(chunk, () => one).join(", ") + tail, chunk.flat());
  }
}

/** Made before the transaction, once a connection; its name as SQL. */
async function stagingTable(session: Session, table: TargetTable, write: Write): Promise<string> {
  const definition = stagingDefinition(table, write);
  const known = session.temporary.get(definition);
  if (known !== undefined) return known;
  const name = `${quoteName(table.database)}.tailrace_in_${session.temporary.size}`;
  await session.command(`CREATE TEMPORARY TABLE ${name} ${definition}`);
  session.temporary.set(definition, name);
  return name;
}
