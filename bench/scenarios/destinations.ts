// Rows a second into each vendor's mock, and what a row costs the engine.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { VendorRun } from "../../test/support/vendor-lane.ts";
import { type Figure, figure } from "../support/report.ts";
import { median } from "../support/statistics.ts";
import type { BenchVendor } from "../vendors/vendor.ts";
import type { Measured, Scenario, Setting } from "./scenario.ts";

const FOLDER = join(import.meta.dirname, "..", "vendors");
const NOT_VENDORS = new Set(["vendor.ts", "mock-process.ts"]);
const ROWS = 200_000;
/** Rows that wait in the queue while more are made. */
const WAITING = 20_000;

export const destinations: Scenario = {
  name: "destinations",
  summary: "rows a second into each vendor's mock, and the engine's CPU time a row",
  run,
};

async function run({ quick, say }: Setting): Promise<Measured> {
  const names = readdirSync(FOLDER)
    .filter((file) => !NOT_VENDORS.has(file))
    .map((file) => file.replace(/\.ts$/, ""));
  const figures: Figure[] = [];
  const detail: unknown[] = [];
  for (const name of names) {
    const { default: vendor } = (await import(join(FOLDER, `${name}.ts`))) as { default: BenchVendor };
    const rounds: Round[] = [];
    for (let round = 0; round < (quick ? 1 : 5); round += 1) {
      rounds.push(await measure(name, vendor, (vendor.rows ?? ROWS) / (quick ? 10 : 1)));
      const { rowsPerSecond, cpuUs, requests } = rounds.at(-1)!;
      say(`  ${name}: ${Math.round(rowsPerSecond)} rows/s, ${cpuUs.toFixed(1)} µs a row, ${requests} requests`);
    }
    const perCore = median(rounds.map(({ cpuUs }) => 1e6 / cpuUs));
    const { required } = vendor;
    figures.push(
      figure(`${name}, wall clock`, median(rounds.map(({ rowsPerSecond }) => rowsPerSecond)), "rows/s", {
        ...(required !== undefined && { required: [{ of: "value", is: ">=", than: required }] }),
      }),
      figure(`${name}, one core`, perCore, "rows/s"),
      figure(`${name}, engine CPU a row`, median(rounds.map(({ cpuUs }) => cpuUs)), "µs"),
    );
    detail.push({ name, rounds });
  }
  return {
    figures,
    method: [
      "Changes of rows are put into the engine's own queue and go through mapping, lane, gate, destination and HTTP (no TLS) to a mock in a process of its own,",
      "which answers for each row as the vendor does; no source and no state. CPU is user and system time of the engine's process, garbage collection",
      "and the making of the rows included; one core: what that CPU time comes to if there were nothing else to wait for. Medians of 5 rounds of 200,000 rows, or 20,000 where each is a request.",
    ],
    detail,
  };
}

interface Round {
  readonly rowsPerSecond: number;
  readonly cpuUs: number;
  readonly requests: number;
}

async function measure(name: string, vendor: BenchVendor, rows: number): Promise<Round> {
  const mock = fork(join(FOLDER, "mock-process.ts"), [name], { execArgv: ["--disable-warning=ExperimentalWarning"] });
  try {
    const [url] = (await once(mock, "message")) as [string];
    await using lane = await VendorRun.open({
      connector: vendor.connector,
      settings: vendor.settings(url),
      object: vendor.object,
      mode: "upsert",
      columns: vendor.columns,
    });
    await send(lane, vendor, 0, Math.min(rows, 20_000));
    const before = await written(mock);
    const cpu = process.cpuUsage();
    const beganAtMs = performance.now();
    await send(lane, vendor, rows, rows);
    const seconds = (performance.now() - beganAtMs) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    const after = await written(mock);
    if (after.rows - before.rows !== rows || lane.rejected.length > 0 || lane.stops.length > 0)
      throw new Error(`${name}: ${after.rows - before.rows} of ${rows} rows were written`);
    return { rowsPerSecond: rows / seconds, cpuUs: (user + system) / rows, requests: after.requests - before.requests };
  } finally {
    mock.kill();
  }
}

async function send(lane: VendorRun, vendor: BenchVendor, from: number, rows: number): Promise<void> {
  for (let at = 0; at < rows; at += 1) {
    lane.put(vendor.row(from + at));
    if (at % 1000 === 999)
      do await new Promise(setImmediate);
      while (lane.left > WAITING);
  }
  while (lane.left > 0 && lane.stops.length === 0) await new Promise(setImmediate);
}

async function written(mock: ChildProcess): Promise<{ readonly rows: number; readonly requests: number }> {
  const answered = once(mock, "message");
  mock.send("rows");
  const [sums] = (await answered) as [{ rows: number; requests: number }];
  return sums;
}
