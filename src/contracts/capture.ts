import type { Change } from "./change.ts";
import type { KeyValues } from "./source.ts";

/** How the changes of a model become known. */
export type Capture =
  /** {@link Source.read} brings the changes of the model itself. */
  | { readonly kind: "log" }
  /** It brings those of the tables that the model reads; the query says which rows they affect. */
  | { readonly kind: "live"; readonly query: LiveQuery }
  /** By comparing all its rows with what was last sent. */
  | DiffCapture;

export interface DiffCapture {
  readonly kind: "diff";
  /** Why nothing else will do, for people: the construct, where it is in the SQL, what would help. */
  readonly because: readonly string[];
  /** Ids of the relations of which any change makes a comparison due; null: the log does not say. */
  readonly triggers: ReadonlySet<string> | null;
  /** Its result changes with time alone. */
  readonly timeDependent: boolean;
}

/** A model over tables whose changes are known. */
export interface LiveQuery {
  /** {@link Relation.id} of each table that it reads. */
  readonly relations: ReadonlySet<string>;
  /**
   * Places in the key of columns that {@link Affected.partial} may give alone, without the rest of the key; empty: it always gives
   * whole keys.
   */
  readonly partialPlaces: readonly (readonly number[])[];
  /**
   * The keys of all rows of the model that these changes may have brought, altered or removed: never too few. Read as the tables
   * are now, from one snapshot. `changes` are of its `relations` only.
   */
  affected(changes: readonly Change[], signal: AbortSignal): Promise<Affected>;
}

export interface Affected {
  /** Every row may be affected: a table was truncated. */
  readonly all: boolean;
  /** Each once, in the order of {@link QueryModel.key}. */
  readonly keys: readonly KeyValues[];
  /** Also all rows that were sent whose key has these texts at these places. */
  readonly partial: readonly PartialKeys[];
  /** See {@link SnapshotChunk.sees}. Keys from a snapshot that does not see all the changes may be too few. */
  sees(transaction: string): boolean;
}

export interface PartialKeys {
  /** Ascending. */
  readonly places: readonly number[];
  /** One list a key, by `places`. */
  readonly values: readonly KeyValues[];
}
