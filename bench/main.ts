// `npm run bench -- SCENARIO [--json] [--quick]`: one scenario beside its floor, in one run.
import process from "node:process";
import { parseArgs } from "node:util";
import { binlog } from "./scenarios/binlog.ts";
import { destinations } from "./scenarios/destinations.ts";
import { diff } from "./scenarios/diff.ts";
import { flat } from "./scenarios/flat.ts";
import { latency } from "./scenarios/latency.ts";
import { liveQuery } from "./scenarios/live-query.ts";
import { memory } from "./scenarios/memory.ts";
import { peer } from "./scenarios/peer.ts";
import type { Scenario } from "./scenarios/scenario.ts";
import { throughput } from "./scenarios/throughput.ts";
import { PeerUnavailable } from "../test/peers/unavailable.ts";
import { machine } from "./support/machine.ts";
import { type Report, printJson, printTable } from "./support/report.ts";
import { startBenchServer } from "./support/server.ts";

const SCENARIOS: readonly Scenario[] = [throughput, latency, flat, memory, liveQuery, diff, peer, binlog, destinations];

const USAGE = `usage: npm run bench -- SCENARIO [--json] [--quick]

${SCENARIOS.map(({ name, summary }) => `  ${name.padEnd(12)} ${summary}`).join("\n")}

  --json      one JSON object on standard output instead of a table
  --quick     fewer rows, one repetition: to see that it works, not to quote

Progress goes to standard error. The exit status is 0 when every figure is as required, 1 when one is not, 2 on wrong usage,
3 when \`peer\` cannot run here, which names what to install.
BENCH_PROFILE=FOLDER writes a CPU profile of every engine there (and makes it slower).
`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { json: { type: "boolean" }, quick: { type: "boolean" }, help: { type: "boolean", short: "h" } },
    allowPositionals: true,
  });
  const scenario = SCENARIOS.find(({ name }) => name === positionals[0]);
  if (values.help === true || scenario === undefined || positionals.length > 1) {
    process.stderr.write(USAGE);
    return values.help === true ? 0 : 2;
  }
  const startedAtMs = performance.now();
  const say = (text: string): void => {
    const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1).padStart(6);
    process.stderr.write(`${seconds} s  ${text}\n`);
  };
  await using server = await startBenchServer();
  const quick = values.quick === true;
  const about = await machine(server);
  const { figures, method, detail } = await scenario.run({ server, quick, say });
  const report: Report = {
    scenario: scenario.name,
    quick,
    figures,
    ok: figures.every(({ ok }) => ok),
    machine: about,
    method,
    ...(detail === undefined ? {} : { detail }),
  };
  process.stdout.write(values.json === true ? printJson(report) : printTable(report));
  return report.ok ? 0 : 1;
}

// Children and the server end with us, also on Ctrl-C.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof PeerUnavailable)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = PeerUnavailable.EXIT_STATUS;
}
