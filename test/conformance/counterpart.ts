import type { Target } from "../../src/contracts/destination.ts";
import type { RowTexts, State } from "../support/oracle.ts";

/**
 * What a destination's own file under `harness/` exports as default: one entry for each way of using it that is worth
 * the whole suite (a webhook: one row a request, arrays, NDJSON).
 */
export interface DestinationHarness {
  readonly name: string;
  /** Why it cannot be started on this machine: then it is skipped, by that name. */
  readonly missing?: string | undefined;
  /** `canary`: a text to be used in the settings' secrets, where the destination has any. */
  start(canary: string): Promise<Counterpart>;
  /** Why the counterpart cannot do something. What it cannot do without a reason here fails the suite. */
  /** Texts, by field, that no type of this database holds: `infinity` of a time. Refusing them is what it must do. */
  readonly unstorable?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly waived: Partial<Record<"state" | "events" | "refuse" | "stall" | "down" | "secret", string>>;
}

/** The real thing at the other end, and how to look at it from the outside. */
export interface Counterpart extends AsyncDisposable {
  /** As a user would write them. */
  readonly settings: unknown;
  /** Where a sync of this name delivers to: each sync has a place of its own. */
  place(sync: string): { readonly object: string | null; readonly options: unknown };
  /** What is there now, by the match fields (`keyText`). Repeats of an id count once. */
  readonly state?: (target: Target) => Promise<State>;
  /** mode `event`: the ids of what has arrived. Repeats of an id count once. */
  readonly events?: (target: Target) => Promise<readonly string[]>;
  /** Connections (or files) that the destination holds open now. */
  connections(): Promise<number>;
  /** From now on the row of this key is refused for good, in an answer that quotes the row. The place exists. */
  readonly refuse?: (target: Target, key: string) => Promise<void>;
  /** From now on nothing is answered, until the result is called. */
  readonly stall?: (target: Target) => Promise<() => Promise<void>>;
  /** Cannot be reached, until the result is called. */
  readonly down?: () => Promise<() => Promise<void>>;
}

/** Equal as far as a destination can tell: a field that was never sent is a null. */
export function plainState(state: State, fields: readonly string[]): Map<string, RowTexts> {
  return new Map(
    [...state]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, row]) => [key, Object.fromEntries(fields.map((field) => [field, row[field] ?? null]))]),
  );
}
