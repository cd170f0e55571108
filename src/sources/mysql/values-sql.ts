// Conditions on the values of a relation's columns.
import type { KeyValues } from "../../contracts/source.ts";
import type { ReadColumn } from "./columns.ts";
import type { RelationSource } from "./relation-source.ts";

export function keyColumns({ columns, relation }: Pick<RelationSource, "columns" | "relation">): readonly ReadColumn[] {
  return relation.key.map((place) => columns[place]!);
}

/** That the columns have one of these lists of values, so that an index is used. */
export function valuesSql(columns: readonly ReadColumn[], values: readonly KeyValues[]): string {
  const [first] = columns;
  if (columns.length === 1) {
    return `${first!.select("t")} IN (${values.map(([value]) => first!.literal(value!)).join(", ")})`;
  }
  return values
    .map(
      (list) => `(${columns.map((column, i) => `${column.select("t")} = ${column.literal(list[i]!)}`).join(" AND ")})`,
    )
    .join(" OR ");
}
