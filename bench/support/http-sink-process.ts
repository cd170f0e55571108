// The HTTP sink in a process of its own, so that it does not share the sender's core.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import {
  type HttpSink,
  type RowCount,
  type SinkOptions,
  type SinkRequest,
  type SinkStats,
  startHttpSink,
} from "./http-sink.ts";

type Call =
  | { readonly method: "stats" }
  | { readonly method: "takeRequests" }
  | { readonly method: "throttle"; readonly rowsPerSecond: number | null }
  | { readonly method: "untilRows"; readonly rows: number; readonly timeoutMs: number };
type Answer = { readonly call: number } & ({ readonly value: unknown } | { readonly error: string });

/** Counts the rows of bodies that are made of the engine's envelopes, whatever stands between these. */
export const ENVELOPES: RowCount = { kind: "marker", text: '"position":' };

/** As {@link startHttpSink}; the process ends when disposed, or with its parent. */
export async function forkHttpSink(options: SinkOptions = {}): Promise<HttpSink & { readonly pid: number }> {
  const child: ChildProcess = fork(import.meta.filename, [JSON.stringify(options)], {
    serialization: "advanced",
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
  const [url] = (await Promise.race([
    once(child, "message"),
    once(child, "exit").then(([code]) => {
      throw new Error(`the sink ended with ${code}`);
    }),
  ])) as [string];
  const pending = new Map<number, PromiseWithResolvers<unknown>>();
  child.on("message", (message: Answer) => {
    const waiting = pending.get(message.call);
    pending.delete(message.call);
    if ("error" in message) waiting?.reject(new Error(message.error));
    else waiting?.resolve(message.value);
  });
  child.once("exit", (code, signal) => {
    for (const waiting of pending.values()) waiting.reject(new Error(`the sink ended with ${code ?? signal}`));
    pending.clear();
  });
  let calls = 0;
  const ask = <T>(call: Call): Promise<T> => {
    calls += 1;
    const waiting = Promise.withResolvers<unknown>();
    pending.set(calls, waiting);
    child.send({ ...call, call: calls });
    return waiting.promise as Promise<T>;
  };
  return {
    url,
    pid: child.pid as number,
    stats: () => ask<SinkStats>({ method: "stats" }),
    takeRequests: () => ask<readonly SinkRequest[]>({ method: "takeRequests" }),
    throttle: (rowsPerSecond) => ask<void>({ method: "throttle", rowsPerSecond }),
    untilRows: (rows, timeoutMs) => ask<SinkStats>({ method: "untilRows", rows, timeoutMs }),
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.disconnect();
      await ended;
    },
  };
}

async function serve(): Promise<void> {
  const sink = await startHttpSink(JSON.parse(process.argv[2] ?? "{}") as SinkOptions);
  const run = (call: Call): Promise<unknown> => {
    switch (call.method) {
      case "stats":
        return sink.stats();
      case "takeRequests":
        return sink.takeRequests();
      case "throttle":
        return sink.throttle(call.rowsPerSecond);
      case "untilRows":
        return sink.untilRows(call.rows, call.timeoutMs);
    }
  };
  process.on("message", (message: Call & { readonly call: number }) => {
    run(message).then(
      (value) => process.send?.({ call: message.call, value }),
      (error: unknown) => process.send?.({ call: message.call, error: String(error) }),
    );
  });
  // The parent is gone, however it went.
  process.once("disconnect", () => process.exit(0));
  process.send?.(sink.url);
}

if (import.meta.main) await serve();
