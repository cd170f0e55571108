import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/support/longest-first.ts";

// One PostgreSQL for the whole run (started by test/support/global-setup.ts), a database of its own for each
// test file that wants one. Files run in parallel on as many workers as there are cores.
export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    // A bound for what hangs. A test of twenty commands may take a minute where others use the machine.
    testTimeout: 120_000,
    hookTimeout: 60_000,
    pool: "forks",
    // Tests of whole processes wait more than they work; the default (one less than there are cores) leaves a small machine idle.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // For workers and for the commands that tests start: a third of a short command's time is Node compiling the same files again.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, "node_modules", ".cache", "compiled") },
    execArgv: ["--disable-warning=ExperimentalWarning"],
    reporters: ["default"],
  },
});
