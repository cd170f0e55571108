export interface ScenarioOptions {
  /** The same seed draws the same faults. When they meet the engine is up to the machine. */
  readonly seed: number;
  /** How long to go on; null: as long as the scenario's figure needs. */
  readonly minutes: number | null;
  /** `short`: seconds, to see that it holds; `full`: minutes, to quote. */
  readonly scale: "short" | "full";
  /** Superuser URL of the PostgreSQL to make databases on; `wal_level = logical`, on this machine. */
  readonly postgresUrl: string;
  /** A line of progress. */
  readonly log: (line: string) => void;
}

/** Repeats of what the destination had been sent before, counted for each kill. */
export interface Duplicates {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface Outcome {
  readonly scenario: string;
  readonly seed: number;
  /** How often the engine was ended, or hit otherwise: see the scenario. */
  readonly kills: number;
  /** Row changes that were committed. */
  readonly changes: number;
  /** Rows that are not at the destination as they are in the table. */
  readonly lost: number;
  /** Rows that came after a newer version of their key, counted anew after each restart. */
  readonly inversions: number;
  readonly duplicates: Duplicates;
  readonly ok: boolean;
  /** What else was measured, and what else `ok` asks for. */
  readonly figures?: Readonly<Record<string, number | string | boolean>>;
}

/** `npm run chaos -- NAME`. */
export interface Scenario {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** Throws where the engine does not do what every fault leaves possible, such as to start again. */
  run(options: ScenarioOptions): Promise<Outcome>;
}
