// `npm run chaos -- SCENARIO`: the engine under one kind of fault, judged from outside.
import process from "node:process";
import { parseArgs } from "node:util";
import { startServer } from "../../src/cli/demo/embedded-postgres.ts";
import { PeerUnavailable } from "../peers/unavailable.ts";
import type { Outcome } from "./scenario.ts";
import { SCENARIOS } from "./scenarios/index.ts";

const LIST = SCENARIOS.map(({ name, summary }) => `  ${name.padEnd(16)} ${summary}`).join("\n");
const USAGE = `usage: npm run chaos -- SCENARIO [--seed N] [--minutes M] [--json] [--short]

${LIST}

  --seed N      draws the same faults again (default: a random one, which is printed)
  --minutes M   how long to go on (default: as long as the scenario's figure needs)
  --json        one JSON object on standard output
  --short       seconds, not minutes: to see that it holds, not to quote

Progress goes to standard error. Exits with 0 when the engine held, 1 when it did not, 2 on wrong usage, 3
when a peer cannot run here, which names what to install. TEST_PG_URL names a
PostgreSQL to use (superuser, wal_level = logical, on this machine) instead of the bundled one.
`;

function wrong(message: string): number {
  process.stderr.write(message);
  return 2;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      seed: { type: "string" },
      minutes: { type: "string" },
      json: { type: "boolean" },
      short: { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
    allowPositionals: true,
  });
  const [name, ...more] = positionals;
  if (values.help === true || name === undefined) {
    process.stdout.write(USAGE);
    return values.help === true ? 0 : 2;
  }
  const scenario = SCENARIOS.find((candidate) => candidate.name === name);
  if (scenario === undefined || more.length > 0)
    return wrong(`There is no scenario \`${positionals.join(" ")}\`:\n${LIST}\n`);
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  const minutes = values.minutes === undefined ? null : Number(values.minutes);
  if (!Number.isSafeInteger(seed) || seed < 0) return wrong("--seed is a whole number.\n");
  if (minutes !== null && !(minutes > 0)) return wrong("--minutes is a number above 0.\n");

  const startedAtMs = performance.now();
  const log = (line: string): void => {
    const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1).padStart(6);
    process.stderr.write(`${seconds} s  ${line}\n`);
  };
  log(`${name}, seed ${seed} (--seed ${seed} repeats it)`);
  await using stack = new AsyncDisposableStack();
  const postgresUrl = process.env["TEST_PG_URL"] ?? stack.use(await startServer()).url();
  const scale = values.short === true ? "short" : "full";
  const outcome = await scenario.run({ seed, minutes, scale, postgresUrl, log });
  process.stdout.write(values.json === true ? `${JSON.stringify(outcome)}\n` : text(outcome));
  return outcome.ok ? 0 : 1;
}

function text(outcome: Outcome): string {
  const { duplicates, figures, ...counts } = outcome;
  const repeated = `p50 ${duplicates.p50}, p99 ${duplicates.p99}, max ${duplicates.max}`;
  const lines = Object.entries({ ...counts, "duplicates a kill": repeated, ...figures });
  return lines.map(([name, value]) => `${name.padEnd(28)} ${value}\n`).join("");
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
