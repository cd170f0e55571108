// Reads a binary log until so many rows have come, with the library alone or with our source.
// Run as a process with a BinlogReading as JSON; prints when it began and when the last row was there, in ms.
import process from "node:process";
import ZongJi from "@vlasky/zongji";
import { mysqlSource, tableModel } from "../../test/support/mysql-source.ts";

export interface BinlogReading {
  readonly reader: "library" | "source";
  readonly port: number;
  readonly database: string;
  readonly table: string;
  readonly file: string;
  readonly offset: number;
  readonly rows: number;
  /** Of the same place. */
  readonly checkpoint: { readonly position: string; readonly incarnation: string };
}

const reading = JSON.parse(process.argv[2]!) as BinlogReading;
const login = { host: "127.0.0.1", port: reading.port, user: "tailrace", password: "tailrace" };
const nowMs = (): number => performance.now();

function report(beganMs: number): void {
  process.stdout.write(`${beganMs} ${nowMs()} ${process.memoryUsage.rss()}\n`, () => process.exit());
}

if (reading.reader === "library") {
  const { database, table, file, offset, rows } = reading;
  const library = new ZongJi(login);
  let seen = 0;
  const beganMs = nowMs();
  library.on("binlog", (event) => {
    if (event.getEventName() !== "writerows") return;
    seen += (event as unknown as { rows: readonly unknown[] }).rows.length;
    if (seen >= rows) report(beganMs);
  });
  library.start({
    filename: file,
    position: offset,
    serverId: 4242,
    includeEvents: ["tablemap", "writerows"],
    includeSchema: { [database]: [table] },
  });
} else {
  const { port, database, table, rows, checkpoint } = reading;
  const source = mysqlSource(`mysql://tailrace:tailrace@127.0.0.1:${port}/${database}`);
  const { signal } = new AbortController();
  await source.open([tableModel(table)], [checkpoint], signal);
  let seen = 0;
  const beganMs = nowMs();
  for await (const { changes } of source.read(checkpoint.position, signal)) {
    seen += changes.length;
    if (seen >= rows) break;
  }
  report(beganMs);
}
