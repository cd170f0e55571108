// The thread that owns the database: an fsync takes milliseconds on a busy disk, and nothing else may wait for it.
import { parentPort, workerData } from "node:worker_threads";
import { TailraceError } from "../../contracts/errors.ts";
import { toPlain, type Call, type FromWorker, type WorkerSettings } from "./protocol.ts";
import { isBusy } from "./sqlite-error.ts";
import { StateDatabase } from "./state-database.ts";

const REPORT_EVERY_MS = 250;

const port = parentPort;
if (port === null) throw new TailraceError("internal.defect", "the state's worker was not started as a worker");
const settings = workerData as WorkerSettings;

function say(message: FromWorker): void {
  port?.postMessage(message);
}

/** What has no caller to be told of a failure. */
function inBackground(work: () => void, message: string): void {
  try {
    work();
  } catch (error) {
    say({ kind: "warning", message, error: toPlain(error) });
  }
}

function answer(database: StateDatabase, { id, method, args }: Call): void {
  try {
    // The types of the arguments are checked where the call is made (worker-link.ts).
    const value = (database[method] as (...args: unknown[]) => unknown).apply(database, [...args]);
    if (id !== null) say({ kind: "result", id, value });
  } catch (error) {
    if (id === null) say({ kind: "warning", message: `the state could not ${method}`, error: toPlain(error) });
    // Whoever waits for a lease goes on waiting while another process writes.
    else if (method === "tryAcquire" && isBusy(error)) say({ kind: "result", id, value: null });
    else say({ kind: "failed", id, error: toPlain(error) });
  }
}

let database: StateDatabase | null = null;
try {
  database = new StateDatabase(
    settings,
    (owner) => say({ kind: "lost", owner }),
    (message) => say({ kind: "warning", message, error: null }),
  );
  say({ kind: "opened" });
} catch (error) {
  say({ kind: "refused", error: toPlain(error) });
}
if (database !== null) {
  const opened = database;
  let reporting: NodeJS.Timeout | null = null;
  const beating = setInterval(() => {
    inBackground(() => opened.heartbeat(), "the heartbeat of the leases could not be written");
  }, settings.heartbeatMs);
  port.on("message", (call: Call) => {
    if (call.method === "close") {
      clearInterval(beating);
      if (reporting !== null) clearTimeout(reporting);
    }
    answer(opened, call);
    if (call.method === "report")
      reporting ??= setTimeout(() => {
        reporting = null;
        inBackground(() => opened.flushReports(), "a status report could not be written");
      }, REPORT_EVERY_MS);
  });
}
