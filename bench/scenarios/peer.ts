// Tailrace and Debezium Server's HTTP sink, one after the other, against the same server and receiver under the same load.
import { VERSION, install } from "../../test/peers/debezium/install.ts";
import { debezium } from "../../test/peers/debezium/subject.ts";
import { stop } from "../../test/peers/process.ts";
import type { Kind, Subject } from "../../test/peers/subject.ts";
import { tailrace } from "../../test/peers/tailrace.ts";
import { type Arrivals, arrivals } from "../support/arrivals.ts";
import { epochMicros, monotonicToEpochMicros } from "../support/clock.ts";
import { ENVELOPES, forkHttpSink } from "../support/http-sink-process.ts";
import type { RowCount } from "../support/http-sink.ts";
import { commitSteadily } from "../support/load.ts";
import { type Figure, figure } from "../support/report.ts";
import { createTable, insertRows, rowOf } from "../support/rows.ts";
import { dropSlot, sql, startOfReading } from "../support/server.ts";
import { quantile } from "../support/statistics.ts";
import type { Measured, Scenario, Setting } from "./scenario.ts";

const PER_SECOND = 100;
/** A JVM is faster after some thousand rows. */
const WARM_UP_SECONDS = 10;
const BATCH_ROWS = 500;
/** Beside the default of 500 ms. */
const SHORT_POLL_MS = 10;
const SHARES = [0.5, 0.99] as const;

/** A subject, and how its bodies are read where only their number and time count. */
interface Contender {
  readonly label: string;
  readonly kind: Kind;
  readonly rows: RowCount;
  /** µs since the epoch. */
  committedAt(body: string): number;
}

export const peer: Scenario = {
  name: "peer",
  summary: "latency at 100 commits a second, and a backlog drained over HTTP; floor: none, Debezium Server beside it",
  run,
};

async function run(setting: Setting): Promise<Measured> {
  const installed = await install(setting.say);
  const seconds = setting.quick ? 5 : 30;
  const rows = setting.quick ? 50_000 : 200_000;
  const singles = setting.quick ? 5_000 : 20_000;
  const ours: Contender = { label: "tailrace", kind: tailrace, rows: ENVELOPES, committedAt: ofEnvelope };
  const theirs = contender("debezium", debezium(installed));
  const tuned = contender(`debezium, poll ${SHORT_POLL_MS} ms`, debezium(installed, { pollMs: SHORT_POLL_MS }));
  const figures: Figure[] = [];
  for (const one of [ours, theirs, tuned]) {
    const found = await latency(setting, one, seconds);
    for (const share of SHARES) {
      figures.push(figure(`${one.label}: latency p${share * 100}`, quantile(found.latenciesMs, share), "ms"));
    }
  }
  for (const one of [ours, theirs]) {
    const rate = await drain(setting, one, { rows, batchRows: BATCH_ROWS });
    figures.push(figure(`${one.label}: arrays of ${BATCH_ROWS}`, rate, "rows/s"));
  }
  for (const one of [ours, theirs]) {
    const rate = await drain(setting, one, { rows: singles, batchRows: null });
    figures.push(figure(`${one.label}: one row a request`, rate, "rows/s"));
  }
  return {
    figures,
    method: [
      `Latency: ${PER_SECOND} commits a second of one row each for ${seconds} s, after ${WARM_UP_SECONDS} s that do not count; from the commit's time in the log to`,
      "the first byte of its request at the receiver, which answers at once. One row a request.",
      `Rates: ${rows} rows (${singles} where each is a request), 1000 a transaction, committed while nobody reads; from START_REPLICATION to the last answer.`,
      `One after the other, the same server, receiver and load. Debezium Server ${VERSION}, Java ${installed.javaVersion}, as docs/peers.md has it.`,
    ],
  };
}

function contender(label: string, kind: Kind): Contender {
  return {
    label,
    kind,
    rows: { kind: "marker", text: '"connector":"postgresql"' },
    committedAt: (body) => {
      const { source } = JSON.parse(body) as { readonly source: { readonly ts_us: number } };
      return source.ts_us;
    },
  };
}

function ofEnvelope(body: string): number {
  return epochMicros((JSON.parse(body) as { readonly committed_at: string }).committed_at);
}

interface Stage extends AsyncDisposable {
  readonly subject: Subject;
  readonly sink: Awaited<ReturnType<typeof forkHttpSink>>;
  /** Rows that the sink has been sent by the preparation. */
  readonly before: number;
}

async function setStage(
  { server }: Setting,
  { kind, rows }: Contender,
  name: string,
  batchRows: number | null,
): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const url = server.url();
  const table = `peer_${name}`;
  await sql(url, `DROP TABLE IF EXISTS public.${table}`, createTable(table));
  const sink = stack.use(await forkHttpSink({ rows, keepRequests: name === "latency" }));
  const subject = stack.use(
    await kind.create({
      databaseUrl: url,
      receiverUrl: sink.url,
      table: `public.${table}`,
      name: `${kind.name}_${name}`,
      batchRows,
      timeoutMs: null,
    }),
  );
  await subject.prepare(
    () => sql(url, `INSERT INTO public.${table} SELECT ${rowOf("0::bigint")}`),
    async () => {
      await sink.untilRows(1, 60_000);
    },
  );
  const { rows: before } = await sink.stats();
  await sink.takeRequests();
  const kept = stack.move();
  return { subject, sink, before, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function latency(setting: Setting, who: Contender, seconds: number): Promise<Arrivals> {
  const { server, say } = setting;
  await using stage = await setStage(setting, who, "latency", null);
  const { subject, sink } = stage;
  await using running = subject.start();
  const url = server.url();
  await startOfReading(url, subject.slot);
  let committed = 0;
  const load = async (forSeconds: number): Promise<Arrivals> => {
    const first = committed + 1;
    const { commits } = await commitSteadily({
      url,
      perSecond: PER_SECOND,
      seconds: forSeconds,
      statement: `INSERT INTO public.peer_latency SELECT ${rowOf("$1::bigint")}`,
      values: (n) => [String(first + n)],
    });
    committed += commits;
    return arrivals(sink, stage.before + committed, 60_000, (body) => who.committedAt(body));
  };
  await load(WARM_UP_SECONDS);
  const found = await load(seconds);
  say(`${who.label}: ${found.latenciesMs.length} commits, p50 ${quantile(found.latenciesMs, 0.5).toFixed(1)} ms`);
  await stop(running);
  await dropSlot(url, subject.slot);
  return found;
}

async function drain(
  setting: Setting,
  who: Contender,
  { rows, batchRows }: { readonly rows: number; readonly batchRows: number | null },
): Promise<number> {
  const { server, say } = setting;
  const url = server.url();
  const name = batchRows === null ? "single" : "batch";
  await using stage = await setStage(setting, who, name, batchRows);
  const { subject, sink, before } = stage;
  await insertRows(url, `peer_${name}`, 1, rows, 1000);
  const begun = startOfReading(url, subject.slot);
  await using running = subject.start();
  const startMs = await begun;
  const { lastAnswerNs } = await sink.untilRows(before + rows, 300_000);
  if (lastAnswerNs === null) throw new Error("the receiver gave no answer");
  const endMs = (Number(lastAnswerNs) / 1000 + monotonicToEpochMicros()) / 1000;
  const perSecond = Math.round((rows * 1000) / (endMs - startMs));
  say(`${who.label}: ${rows} rows, ${name}: ${perSecond} rows/s`);
  await stop(running);
  await dropSlot(url, subject.slot);
  return perSecond;
}
