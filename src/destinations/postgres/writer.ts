import {
  DELIVERED,
  type Delivery,
  type Outcome,
  type Target,
  type TransactionalWriter,
  type Writer,
} from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Log } from "../../contracts/log.ts";
import { BatchPlanner, type Encode, type Group, uniqueIndexOn } from "../../kit/table-writer/batch-plan.ts";
import { batchDigest, type Step } from "../../kit/table-writer/own-progress.ts";
import { assertStorable, copyChunks, copyIn, type TextRow } from "./copy.ts";
import { addColumnsSql } from "./create-table.ts";
import { databaseError, type Phase } from "./errors.ts";
import { arraySource, mergeSql } from "./merge.ts";
import { STEP, STEP_PARAMETERS, StoredProgress } from "./progress.ts";
import { ask, type Session, type Sessions } from "./sessions.ts";
import { readTable, type TableRef, type TargetColumn, type TargetTable, tableSql } from "./table.ts";

/**
 * Up to here the rows go as array parameters of prepared statements; above it through COPY into a temporary table. Measured with
 * six columns: 1 row 0.3 ms against 1.8, 100 rows 0.7 against 1.2, 1000 rows 5 against 7; from 2000 rows on COPY is even,
 * and needs less memory on both sides.
 */
export const ARRAY_ROWS = 1000;

type Planner = BatchPlanner<TargetColumn, string>;
type Rows = Group<TargetColumn, string>;

export interface WriterOptions {
  readonly sessions: Sessions;
  readonly target: Target;
  readonly ref: TableRef;
  readonly addColumns: boolean;
  readonly log: Log;
  /** See {@link ARRAY_ROWS}. */
  readonly arrayRows?: number | undefined;
}

export class PostgresWriter implements Writer {
  readonly transactional: TransactionalWriter;
  readonly #options: WriterOptions;
  readonly #arrayRows: number;
  readonly #progress: StoredProgress;
  #table: TargetTable | null = null;
  #planner: Planner | null = null;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#arrayRows = options.arrayRows ?? ARRAY_ROWS;
    this.#progress = new StoredProgress(options.target.sync);
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
        const planner = await this.#ready(session, batch);
        const groups = planner.plan(batch);
        const [only] = groups;
        if (groups.length === 1 && only!.rows.length <= this.#arrayRows && step !== null) {
          const merge = mergeSql(
            this.#table!,
            only!.write,
            arraySource(only!.rows[0]!.length, STEP_PARAMETERS + 1),
            "EXISTS (SELECT FROM step)",
          );
          if (merge !== null) {
            // One statement, and so one round trip: it commits by itself.
            phase = "committing";
            const { rowCount } = await session.prepared(
              `WITH step AS (${STEP}), merge AS (${merge}) SELECT taken FROM step`,
              [...this.#progress.parameters(step), ...columnsOf(only!.rows)],
            );
            phase = "working";
            this.#progress.committed(rowCount === 1 ? step : await this.#progress.repeated(session, step));
            return;
          }
        }
        await this.#transaction(session, groups, step, () => {
          phase = "committing";
        });
      });
      return batch.map(() => DELIVERED);
    } catch (error) {
      // Whatever the table looked like, it may look otherwise now.
      this.#planner = null;
      const arbiter = this.#table && uniqueIndexOn(this.#table, this.#options.target.match)?.name;
      const failure = databaseError(error, phase, arbiter ?? null);
      if (step !== null && failure.consequence === "unknown-outcome") this.#progress.unknown(step);
      throw failure;
    }
  }

  async #transaction(
    session: Session,
    groups: readonly Rows[],
    step: Step | null,
    committing: () => void,
  ): Promise<void> {
    const rows = groups.reduce((sum, group) => sum + group.rows.length, 0);
    const temporary = rows > this.#arrayRows ? await temporaryTable(session, groups) : null;
    let stored = step;
    await session.query("BEGIN");
    try {
      // Before the step, which locks: a process that is frozen while it sends must not keep its successor waiting.
      if (temporary !== null) await copyGroups(session, temporary, groups);
      const taken = step === null || (await session.prepared(STEP, this.#progress.parameters(step))).rowCount === 1;
      if (taken) {
        for (const [index, group] of groups.entries()) {
          const source = temporary === null ? arraySource(group.rows[0]!.length, 1) : `pg_temp.${temporary.name} AS s`;
          const sql = mergeSql(this.#table!, group.write, source, temporary === null ? "true" : `s.g = ${index}`);
          if (sql === null) continue;
          await session.prepared(sql, temporary === null ? columnsOf(group.rows) : []);
        }
      } else stored = await this.#progress.repeated(session, step);
    } catch (error) {
      await session.query("ROLLBACK").catch(() => {});
      throw error;
    }
    committing();
    const { command } = await session.query("COMMIT");
    if (command !== "COMMIT")
      throw new TailraceError("internal.defect", "PostgreSQL rolled back a transaction without an error");
    if (stored !== null) this.#progress.committed(stored);
  }

  async #ready(session: Session, batch: readonly Delivery[]): Promise<Planner> {
    const { target, ref, addColumns, log } = this.#options;
    if (addColumns && this.#table && this.#planner) await this.#addColumns(session, this.#table, batch);
    if (this.#planner) return this.#planner;
    let table = await readTable(session, ref);
    if (table && addColumns && (await this.#addColumns(session, table, batch))) table = await readTable(session, ref);
    if (!table) {
      throw new TailraceError(
        "destination.config",
        `table "${ref.schema}.${ref.name}" does not exist: create it, correct \`object\`, or set \`create_tables: true\``,
      );
    }
    this.#table = table;
    this.#planner = new BatchPlanner(table, target, storable);
    log.debug("read the target table", { table: tableSql(ref), columns: table.columns.size });
    return this.#planner;
  }

  /** For fields that came up after the sync began: a column added at the source. */
  async #addColumns(session: Session, table: TargetTable, batch: readonly Delivery[]): Promise<boolean> {
    const shapes = new Set(batch.map((delivery) => delivery.record.shape));
    const fields = new Map([...shapes].flatMap((shape) => shape.fields.map((field) => [field.name, field] as const)));
    const sql = await addColumnsSql(session, table, [...fields.values()]);
    if (sql === null) return false;
    await session.query(sql);
    this.#planner = null;
    return true;
  }
}

function storable(column: TargetColumn): Encode<string> {
  return (text) => {
    assertStorable(text, column.name);
    return text;
  };
}

/** Rows turned into one array a column. */
function columnsOf(rows: readonly TextRow[]): (string | null)[][] {
  return Array.from({ length: rows[0]!.length }, (_, column) => rows.map((row) => row[column]!));
}

interface Temporary {
  readonly name: string;
}

/** A table of texts that is emptied at every commit, made once a connection for each width. */
async function temporaryTable(session: Session, groups: readonly Rows[]): Promise<Temporary> {
  const widest = Math.max(...groups.map((group) => group.rows[0]!.length), 1);
  const width = 2 ** Math.ceil(Math.log2(Math.max(widest, 8)));
  const columns = Math.min(width, 1590);
  const name = `tailrace_in_${columns}`;
  if (!session.temporary.has(name)) {
    const definitions = Array.from({ length: columns }, (_, index) => `v${index} text`);
    await session.query(
      `CREATE TEMPORARY TABLE IF NOT EXISTS ${name} (g int, ${definitions.join(", ")}) ON COMMIT DELETE ROWS`,
    );
    session.temporary.add(name);
  }
  return { name };
}

async function copyGroups(session: Session, temporary: Temporary, groups: readonly Rows[]): Promise<void> {
  const widths = new Map<number, [number, Rows][]>();
  for (const [index, group] of groups.entries()) {
    const width = group.rows[0]!.length;
    const same = widths.get(width);
    if (same) same.push([index, group]);
    else widths.set(width, [[index, group]]);
  }
  for (const [width, same] of widths) {
    const names = ["g", ...Array.from({ length: width }, (_, index) => `v${index}`)];
    const chunks = copyChunks(rowsOf(same));
    await copyIn(session.client, `COPY pg_temp.${temporary.name} (${names.join(", ")}) FROM STDIN`, chunks);
  }
}

function* rowsOf(groups: readonly (readonly [number, Rows])[]): Generator<TextRow> {
  for (const [index, group] of groups) for (const row of group.rows) yield [String(index), ...row];
}
