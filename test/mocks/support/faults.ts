import { prng } from "../../support/prng.ts";
import type { Fault, MockAnswer, MockRequest } from "./mock.ts";

export interface FaultPlan {
  readonly seed: number;
  /** The share of requests that fail, 0 to 1. */
  readonly rate: number;
  /** The vendor's own answers to too many requests and when it is unwell, beside those that any server could give. */
  readonly answers: readonly MockAnswer[];
  /** Default: every way that a request can go wrong. */
  readonly kinds?: readonly Exclude<Fault, MockAnswer | "hang">[];
}

/** A seeded mix of everything that may happen to a request on its way. */
export function randomFaults(plan: FaultPlan): (request: MockRequest) => Fault | null {
  const random = prng(plan.seed);
  const faults: readonly Fault[] = [
    ...(plan.kinds ?? ["reset-before", "reset-after", "truncated"]),
    { status: 500, body: "" },
    { status: 503, body: "<html>unavailable</html>" },
    ...plan.answers,
  ];
  return () => (random.chance(plan.rate) ? random.pick(faults) : null);
}

/** These in turn, one for each request that `which` holds for; then none. */
export function faultsInTurn(
  faults: readonly Fault[],
  which: (request: MockRequest) => boolean = () => true,
): (request: MockRequest) => Fault | null {
  let next = 0;
  return (request) => {
    if (next >= faults.length || !which(request)) return null;
    next += 1;
    return faults[next - 1] ?? null;
  };
}

/** At most so many requests in a window: what is beyond gets the vendor's answer. A window begins with its first request. */
export function windowLimit(most: number, windowMs: number, answer: MockAnswer): () => Fault | null {
  let beganAtMs = -Infinity;
  let count = 0;
  return () => {
    const now = performance.now();
    if (now - beganAtMs >= windowMs) {
      beganAtMs = now;
      count = 0;
    }
    count += 1;
    return count > most ? answer : null;
  };
}
