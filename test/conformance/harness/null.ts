import type { DestinationHarness } from "../counterpart.ts";

const KEEPS_NOTHING = "it keeps nothing, and nothing is at its other end";

const harness: DestinationHarness = {
  name: "null",
  waived: {
    state: KEEPS_NOTHING,
    events: KEEPS_NOTHING,
    refuse: KEEPS_NOTHING,
    stall: KEEPS_NOTHING,
    down: KEEPS_NOTHING,
    secret: "it has no secrets",
  },
  start: () =>
    Promise.resolve({
      settings: {},
      place: () => ({ object: null, options: {} }),
      connections: () => Promise.resolve(0),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
};

export default [harness];
