/** One result of a `check`: what is wrong, why it matters, and what to do. Never contains a secret or a row's value. */
export interface Finding {
  /** `error`: the sync cannot run, or would lose data. `warning`: it runs, with a risk. `info`: good to know. */
  readonly level: "error" | "warning" | "info";
  /** Stable, for scripts: `postgres.wal_level`. */
  readonly code: string;
  readonly message: string;
  /** What to run or to change, ready to paste where it is SQL. */
  readonly fix?: string | undefined;
  /** Which sync, model or table it concerns, when it is not the whole connection. */
  readonly subject?: string | undefined;
}
