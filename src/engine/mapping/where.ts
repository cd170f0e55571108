import { TailraceError } from "../../contracts/errors.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { Condition, RowCode, Sync } from "../../contracts/sync.ts";
import { UNCHANGED, type Values } from "../../contracts/values.ts";
import { invalid, noSuchColumn } from "./configuration-error.ts";
import { compileCode, given } from "./row-code.ts";
import { TRUE } from "./truth.ts";
import { conditionOf, MissingColumn } from "./where-condition.ts";
import { parseWhere } from "./where-parse.ts";
import { WhereMistake } from "./where-tokens.ts";

/** Whether a row is in the sync; null: cannot be told, because a column was not sent. */
export type Filter = (row: Values) => boolean | null;

export interface Where {
  readonly filter: Filter;
  /** Places of the columns that it reads. */
  readonly reads: readonly number[];
}

/** Throws config errors that say where in the condition. */
export function compileWhere(sync: Sync, where: Condition, relation: Relation): Where {
  const { text, at, code } = where;
  if (code !== undefined) return codeWhere(sync, at, code, relation);
  try {
    const { condition, reads } = conditionOf(parseWhere(text), relation.columns);
    const filter: Filter = (row) => {
      const truth = condition(row);
      // SQL's unknown does not pass, so it is the same as false here.
      return truth === TRUE ? true : truth & TRUE ? null : false;
    };
    return { filter, reads };
  } catch (error) {
    if (!(error instanceof WhereMistake)) throw error;
    const spot = `where, ${spotOf(text, error.offset)}: `;
    if (error instanceof MissingColumn) throw noSuchColumn(sync, at, relation, error.column, spot);
    throw invalid(sync, at, spot + error.message);
  }
}

/** Whether a row is in the sync must not be guessed: where the function does not say, the sync stops. */
function codeWhere(sync: Sync, at: string, code: RowCode, relation: Relation): Where {
  const { reads, run } = compileCode(sync, at, code, relation);
  const filter: Filter = (row) => {
    let value: unknown;
    try {
      value = run(row);
    } catch (error) {
      if (error instanceof TailraceError) throw error;
      // Its words may hold values of the row.
      throw invalid(
        sync,
        at,
        `where: the function failed on a row (${error instanceof Error ? error.name : "an error"})`,
      );
    }
    if (value === UNCHANGED) return null;
    if (typeof value === "boolean") return value;
    throw invalid(sync, at, `where: the function gave ${given(value)}; it must give true or false`);
  };
  return { filter, reads };
}

/** `character 12`, or `line 2, character 5` where the condition has several. */
function spotOf(text: string, offset: number): string {
  const before = text.slice(0, offset).split("\n");
  const character = `character ${before.at(-1)!.length + 1}`;
  return text.includes("\n") ? `line ${before.length}, ${character}` : character;
}
