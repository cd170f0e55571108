// From a row's commit to the first byte at the receiver, beside the smallest script that does the same.
import { startFloor } from "../floor/run.ts";
import { type Arrivals, arrivals } from "../support/arrivals.ts";
import { startEngine } from "../support/engine.ts";
import { ENVELOPES, forkHttpSink } from "../support/http-sink-process.ts";
import type { HttpSink } from "../support/http-sink.ts";
import { commitSteadily } from "../support/load.ts";
import { makeProject } from "../support/project.ts";
import { type Requirement, figure } from "../support/report.ts";
import { createTable, rowOf } from "../support/rows.ts";
import { copySlot, dropSlot, sql } from "../support/server.ts";
import { quantile } from "../support/statistics.ts";
import type { Measured, Scenario, Setting } from "./scenario.ts";

const PER_SECOND = 500;
const WARM_UP_SECONDS = 2;
const SHARES = [0.5, 0.9, 0.99, 1] as const;

export const latency: Scenario = {
  name: "latency",
  summary:
    "500 single-row commits a second for 30 s, one row a request; floor: the smallest script that reads and posts",
  run,
};

async function run({ server, quick, say }: Setting): Promise<Measured> {
  const seconds = quick ? 5 : 30;
  const url = server.url();
  await sql(url, createTable("latency"));
  await using project = await makeProject({
    url,
    name: "latency",
    table: "latency",
    destination: `{ type: webhook, url: "\${SINK_URL}", allow_private: true }`,
  });
  let lastId = 0;
  const load = async (sink: HttpSink, secondsOfIt: number): Promise<Arrivals> => {
    const before = (await sink.stats()).rows;
    const firstId = lastId + 1;
    const { commits, latestMs } = await commitSteadily({
      url,
      perSecond: PER_SECOND,
      seconds: secondsOfIt,
      statement: `INSERT INTO public.latency SELECT ${rowOf("$1::bigint")}`,
      values: (n) => [String(firstId + n)],
    });
    lastId += commits;
    const found = await arrivals(sink, before + commits, 30_000);
    say(`  ${commits} commits, the latest ${latestMs.toFixed(1)} ms late; ${shown(found.latenciesMs)}`);
    return found;
  };

  const floorSlot = "floor_latency";
  await copySlot(url, project.slot, floorSlot);
  say("the floor");
  const floor = await (async () => {
    await using sink = await forkHttpSink({ rows: ENVELOPES, keepRequests: true });
    const rows = (WARM_UP_SECONDS + seconds) * PER_SECOND;
    await using script = startFloor("post.ts", { url, slot: floorSlot, publication: project.slot, rows, to: sink.url });
    await script.line();
    await load(sink, WARM_UP_SECONDS);
    return await load(sink, seconds);
  })();
  await dropSlot(url, floorSlot);

  say("the engine");
  const subject = await (async () => {
    await using sink = await forkHttpSink({ rows: ENVELOPES, keepRequests: true });
    await using engine = startEngine(project, { once: false, env: { SINK_URL: sink.url } });
    // It begins with what was committed for the floor; that is not measured.
    await arrivals(sink, lastId, 60_000);
    await load(sink, WARM_UP_SECONDS);
    const measured = await load(sink, seconds);
    await engine.stop();
    return measured;
  })();

  const required: Record<(typeof SHARES)[number], readonly Requirement[]> = {
    0.5: [
      { of: "value", is: "<=", than: 10 },
      { of: "ratio", is: "<=", than: 2 },
    ],
    0.9: [],
    0.99: [{ of: "value", is: "<=", than: 50 }],
    1: [],
  };
  return {
    figures: SHARES.map((share) =>
      figure(share === 1 ? "largest" : `p${share * 100}`, quantile(subject.latenciesMs, share), "ms", {
        floor: quantile(floor.latenciesMs, share),
        required: required[share],
      }),
    ),
    method: [
      `${PER_SECOND} commits a second of one inserted row each for ${seconds} s, after ${WARM_UP_SECONDS} s that do not count; floor and engine one after the other, the same load.`,
      "From the commit's time in the log (server's clock; it is taken before the commit is flushed to disk) to the first byte of its request at the",
      `receiver, on the same machine. One row a request, 8 connections; bodies of ${subject.meanBodyBytes} bytes (floor: ${floor.meanBodyBytes}).`,
    ],
    detail: { changes: subject.latenciesMs.length, bySecond: { engine: subject.bySecond, floor: floor.bySecond } },
  };
}

function shown(latenciesMs: readonly number[]): string {
  return SHARES.map((share) => `p${share * 100} ${quantile(latenciesMs, share).toFixed(2)} ms`).join(", ");
}
