import type { Relation } from "../../contracts/relation.ts";
import type { Sync } from "../../contracts/sync.ts";
import type { Values } from "../../contracts/values.ts";
import { invalid, noSuchColumn } from "./configuration-error.ts";
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
export function compileWhere(
  sync: Sync,
  where: { readonly text: string; readonly at: string },
  relation: Relation,
): Where {
  const { text, at } = where;
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

/** `character 12`, or `line 2, character 5` where the condition has several. */
function spotOf(text: string, offset: number): string {
  const before = text.slice(0, offset).split("\n");
  const character = `character ${before.at(-1)!.length + 1}`;
  return text.includes("\n") ? `line ${before.length}, ${character}` : character;
}
