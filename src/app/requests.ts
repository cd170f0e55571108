import { setTimeout as delay } from "node:timers/promises";
import type { StateStore, SyncRequest } from "../contracts/state.ts";

/**
 * - `taken`: whoever runs the sync has done it.
 * - `slow`: somebody runs the sync, but has not done it yet; it will.
 * - `next run`: nobody runs the sync; the next run does it first.
 */
export type RequestOutcome = "taken" | "slow" | "next run";

const POLL_MS = 100;

/** Leaves a request for whoever runs the sync and waits until it was taken, for `waitMs` at the most. */
export async function leaveRequest(
  store: StateStore,
  sync: string,
  request: SyncRequest,
  options: { readonly signal: AbortSignal; readonly waitMs: number },
): Promise<RequestOutcome> {
  await store.request(sync, request);
  const wanted = JSON.stringify(request);
  const isWaiting = async (): Promise<boolean> =>
    (await store.waitingRequests(sync)).some((waiting) => JSON.stringify(waiting.request) === wanted);
  for (const untilMs = performance.now() + options.waitMs; ;) {
    if (!(await isWaiting())) return "taken";
    const running = (await store.statuses()).some((status) => status.sync === sync && status.running);
    // It may have been taken just before the one who ran it ended.
    if (!running) return (await isWaiting()) ? "next run" : "taken";
    if (performance.now() >= untilMs) return "slow";
    await delay(POLL_MS, undefined, { signal: options.signal });
  }
}
