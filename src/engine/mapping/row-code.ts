import type { Relation } from "../../contracts/relation.ts";
import type { RowCode, Sync } from "../../contracts/sync.ts";
import { UNCHANGED, type Values } from "../../contracts/values.ts";
import { placeOf } from "./configuration-error.ts";

export interface CompiledCode {
  readonly reads: readonly number[];
  /** What the function gives; UNCHANGED: a column that it may read was not sent. Throws what it throws. */
  readonly run: (row: Values) => unknown;
}

/** Throws a config error when there is no such column. */
export function compileCode(sync: Sync, at: string, code: RowCode, relation: Relation): CompiledCode {
  const names = code.columns ?? relation.columns.map(({ name }) => name);
  const reads = names.map((name) => placeOf(sync, at, relation, name));
  return {
    reads,
    run: (row) => {
      const named = Object.create(null) as Record<string, string | null>;
      for (let index = 0; index < reads.length; index++) {
        const value = row[reads[index]!];
        if (value === UNCHANGED || value === undefined) return UNCHANGED;
        named[names[index]!] = value;
      }
      return code.run(named);
    },
  };
}

/** What was given instead of what is wanted, without its value. */
export function given(value: unknown): string {
  if (value instanceof Promise) return "a promise";
  if (value === null) return "null";
  return value === undefined ? "nothing" : `a value of type ${typeof value}`;
}
