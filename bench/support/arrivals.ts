// How long each change took from its commit to the receiver's first byte.
import { epochMicros, monotonicToEpochMicros } from "./clock.ts";
import type { HttpSink, SinkRequest } from "./http-sink.ts";
import { median } from "./statistics.ts";

export interface Arrivals {
  /** One a request, in ms. */
  readonly latenciesMs: readonly number[];
  readonly meanBodyBytes: number;
  /** By the second of the arrival: a stall shows here. */
  readonly bySecond: readonly { readonly changes: number; readonly p50Ms: number; readonly largestMs: number }[];
}

/**
 * Waits for all `rows` that the sink was sent since it started, and measures those that came since the last call.
 * `committedAt`: what a body says of the commit's time, in µs since the epoch.
 */
export async function arrivals(
  sink: HttpSink,
  rows: number,
  timeoutMs: number,
  committedAt: (body: string) => number = ofEnvelope,
): Promise<Arrivals> {
  await sink.untilRows(rows, timeoutMs);
  const toEpochMicros = monotonicToEpochMicros();
  const requests = await sink.takeRequests();
  const bytes = requests.reduce((sum, { body }) => sum + body.length, 0);
  const latencyOf = (request: SinkRequest): number =>
    (Number(request.firstByteNs) / 1000 + toEpochMicros - committedAt(request.body)) / 1000;
  const startNs = requests[0]?.firstByteNs ?? 0n;
  const seconds = Map.groupBy(requests, ({ firstByteNs }) => (firstByteNs - startNs) / 1_000_000_000n);
  return {
    latenciesMs: requests.map(latencyOf),
    meanBodyBytes: Math.round(bytes / requests.length),
    bySecond: [...seconds.values()].map((some) => {
      const latenciesMs = some.map(latencyOf);
      return { changes: some.length, p50Ms: round(median(latenciesMs)), largestMs: round(Math.max(...latenciesMs)) };
    }),
  };
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

function ofEnvelope(body: string): number {
  const { committed_at } = JSON.parse(body) as { readonly committed_at: string };
  return epochMicros(committed_at);
}
