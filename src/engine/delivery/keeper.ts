import type { HeldDeletes } from "../../contracts/state.ts";
import type { Entry } from "./entry.ts";

/** Keeps the index of what was sent right, for one pipeline: what may be at the destination is in it before it is sent. */
export interface Keeper {
  /** Must have resolved before these are sent; gives those that need not be. Rejects with what keeps them from it. */
  announce(entries: readonly Entry[], signal: AbortSignal): Promise<readonly Entry[]>;
  /** These were accepted; nothing of their keys has been sent since. */
  accepted(entries: readonly Entry[]): void;
  rejected(entry: Entry): void;
  /** Resolves when the index knows of everything that was accepted. */
  settle(): Promise<void>;
}

/** Too many removals: how many, of how many records. */
export interface TooMany {
  readonly rows: number;
  readonly of: number;
}

/** Removals may not be sent: stops sending, keeps durably what is held, and throws what the sync stops with. */
export type Hold = (by: HeldDeletes["by"], tooMany: TooMany) => Promise<never>;

/** Of removals, those whose records have their rows again; see {@link thereAgain}. */
export type ThereAgain = (removals: readonly Entry[], signal: AbortSignal) => Promise<readonly Entry[]>;

export function isRemoval(op: Entry["op"]): boolean {
  return op === "delete" || op === "archive" || op === "clear";
}
