// Keeps the memory of a long-running process near what it uses.
//
// V8 sizes its heap by the machine's memory: where there are gigabytes, it lets garbage pile up to several times what lives
// before it looks for any, and the young generation alone takes over 100 MB. What waits here is bounded by a budget of a
// few megabytes, so that would be most of the process. The price is more collections at full speed; see docs/benchmarks.md.
import { PerformanceObserver } from "node:perf_hooks";
import process from "node:process";
import v8 from "node:v8";
import { runInNewContext } from "node:vm";

/** How much the old generation may grow over what lived at the last full collection. */
const GROWTH_PERCENT = 50;
/** The young generation is not made larger once it has come to this. It may double once or twice more before we see it. */
const YOUNG_BYTES = 4 * 1024 * 1024;

/**
 * WebAssembly stays as it is compiled first. PostgreSQL's parser is one giant function: after some 30 statements V8 compiled it once more in the
 * background, in 500 MB. What else there is (the parser of HTTP answers) is as fast within what can be measured. The first implies the
 * others only where it is given on the command line.
 */
const BASELINE_WASM = ["--liftoff-only", "--no-wasm-tier-up", "--no-wasm-dynamic-tiering"];

/** To be called once, early. Does nothing where sizes of the heap were given to Node on its command line or in NODE_OPTIONS. */
export function keepHeapSmall(): void {
  const given = [...process.execArgv, process.env["NODE_OPTIONS"] ?? ""].join(" ");
  if (/--(max|min|initial)[-_](heap|old[-_]space|semi[-_]space)[-_]size/.test(given)) return;
  v8.setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
  for (const flag of BASELINE_WASM) v8.setFlagsFromString(flag);
  giveBack();
  // It is made larger by collections, and these come by the dozen once rows arrive.
  const watch = new PerformanceObserver(() => {
    const young = v8.getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space");
    if (young !== undefined && young.space_size < YOUNG_BYTES) return;
    v8.setFlagsFromString("--semi-space-growth-factor=1");
    watch.disconnect();
  });
  watch.observe({ entryTypes: ["gc"] });
}

/** One collection that also shrinks the young generation, which loading the program has made large. Takes some 10 ms. */
function giveBack(): void {
  v8.setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as (options: {
    type: "major";
    execution: "sync";
    flavor: "last-resort";
  }) => void;
  v8.setFlagsFromString("--no-expose-gc");
  collect({ type: "major", execution: "sync", flavor: "last-resort" });
}
