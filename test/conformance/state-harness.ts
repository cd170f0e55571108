import type { StateStore } from "../../src/contracts/state.ts";

/** One state, fresh for each test, that can be opened several times. */
export interface StateHarness extends AsyncDisposable {
  /** A new connection to the same state, as another process would make it. */
  open(): Promise<StateStore>;
  /** Makes the present holder of a sync look dead to others, without telling it. */
  outdate(sync: string): Promise<void>;
  /** Ends everything that is open without a goodbye, as a crash does; what was acknowledged must still be there. */
  crash(): Promise<void>;
}

export const never: AbortSignal = new AbortController().signal;

/** Polls, with a bound: what another connection wrote may take a moment to be seen. */
export async function eventually(check: () => Promise<boolean>, withinMs = 10_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await check())) {
    if (performance.now() > end) throw new Error(`not true within ${withinMs} ms`);
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
}

/** Resolves when the signal aborts; fails after `withinMs`. */
export async function aborted(signal: AbortSignal, withinMs = 10_000): Promise<void> {
  await eventually(() => Promise.resolve(signal.aborted), withinMs);
}
