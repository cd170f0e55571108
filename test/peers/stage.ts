// What every measurement needs: a database with the load's table, a receiver, and a subject between them.
import { loadTable } from "../support/load-statements.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import type { Running } from "./process.ts";
import { type Kind, type Subject, accepted } from "./subject.ts";

export const TABLE = "public.load";
const WARM_UP_MS = 60_000;

export interface Stage extends AsyncDisposable {
  readonly database: TestDatabase;
  readonly receiver: Receiver;
  readonly subject: Subject;
  /** Commits a row that is newer than all others; it goes out last. Returns its key. */
  commitLast(): Promise<string>;
}

export interface StageOptions {
  readonly serverUrl: string;
  readonly batchRows: number;
  readonly timeoutMs?: number | undefined;
}

/** Everything is there, the subject's slot too, and the subject is not running. */
export async function setStage(kind: Kind, { serverUrl, batchRows, timeoutMs }: StageOptions): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await testDatabase(serverUrl));
  await database.sql(loadTable(TABLE));
  const receiver = stack.use(await startReceiver({ rows: kind.rows, keepBodies: false }));
  const subject = stack.use(
    await kind.create({
      databaseUrl: database.url,
      receiverUrl: receiver.url,
      table: TABLE,
      // Slots are the whole server's.
      name: database.name,
      batchRows,
      timeoutMs: timeoutMs ?? null,
    }),
  );
  await subject.prepare(
    () => database.sql(`INSERT INTO ${TABLE} (id, version) VALUES (0, 0)`),
    () => accepted(receiver, "0", WARM_UP_MS),
  );
  const kept = stack.move();
  return {
    database,
    receiver,
    subject,
    commitLast: async () => {
      await database.sql(`INSERT INTO ${TABLE} (id, version) SELECT -1, max(version) + 1 FROM ${TABLE}`);
      return "-1";
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/**
 * Runs the subject as a supervisor does, which starts it again whenever it ends by itself, until `done`. Resolves with what `done`
 * did, the process that runs then, and how often it had been started again.
 */
export async function supervised<T>(
  { subject, receiver }: Stage,
  done: Promise<T>,
): Promise<{ readonly result: T; readonly running: Running; readonly restarts: number }> {
  const over = done.then((result) => ({ result }));
  for (let restarts = 0; ; restarts += 1) {
    const running = subject.start();
    try {
      const first = await Promise.race([over, running.exit]);
      if ("result" in first) return { ...first, running, restarts };
    } catch (error) {
      await running[Symbol.asyncDispose]();
      throw error;
    }
    await receiver.restart();
  }
}
