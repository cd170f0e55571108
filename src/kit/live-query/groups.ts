// Which values of a grouped block are the same for all rows of a group.
import { target } from "./clauses.ts";
import type { Known } from "./flatten.ts";
import { type Expression, type TableReference, columnOf, columnsRead, textOf } from "./graph.ts";
import { type Level, resolve } from "./scope.ts";
import type { Node, Select } from "./tree.ts";

/** What a block is grouped by: columns of FROM come before those of the result that are called the same. */
export function groupsOf(
  { groupClause = [] }: Select,
  level: Level,
  targets: readonly { name?: string; val?: Node }[],
  known: Known,
): readonly (Expression | null)[] {
  const scope = { level, parent: null };
  return groupClause.map((group) => {
    const own = "A_Const" in group ? null : resolve(group, scope, known.functions);
    if (own) return own;
    const other = target(group, targets, (val) => known.resultName(val));
    return other ? resolve(other, scope, known.functions) : null;
  });
}

/**
 * Whether a value is made of what is grouped by (`groups`; null: it is not known what that is made of), of columns of a table by whose
 * key it is grouped, or of what is around the block. `outside`: the references around it.
 */
export function determined(
  value: Expression,
  groups: readonly (Expression | null)[],
  outside: ReadonlySet<TableReference>,
): boolean {
  if (groups.some((group) => group !== null && textOf(group) === textOf(value))) return true;
  const columns = groups.flatMap((group) => (group ? (columnOf(group) ?? []) : []));
  return [...value.references].every((reference) => {
    if (outside.has(reference)) return true;
    const grouped = new Set(columns.flatMap((one) => (one.reference === reference ? [one.column.name] : [])));
    if (reference.table.keys.some((key) => key.every((name) => grouped.has(name)))) return true;
    return [...columnsRead(value, reference)].every((name) => grouped.has(name));
  });
}
