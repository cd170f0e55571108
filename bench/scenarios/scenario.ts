import type { Server } from "../../src/cli/demo/embedded-postgres.ts";
import type { Figure } from "../support/report.ts";

export interface Scenario {
  readonly name: string;
  readonly summary: string;
  run(setting: Setting): Promise<Measured>;
}

export interface Setting {
  readonly server: Server;
  readonly quick: boolean;
  /** Progress, for people. */
  readonly say: (text: string) => void;
}

export interface Measured {
  readonly figures: readonly Figure[];
  /** How it was measured, a sentence a line. */
  readonly method: readonly string[];
  /** What the figures were made of: single repetitions, curves. Only in the JSON. */
  readonly detail?: unknown;
}
