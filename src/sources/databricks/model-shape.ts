import { TailraceError } from "../../contracts/errors.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { Values } from "../../contracts/values.ts";
import type { Row } from "./session.ts";
import type { ColumnType, Shape } from "./statements.ts";
import { canBeKey, columnOf } from "./types.ts";

/** A model's columns as SQL and as the engine knows them. */
export interface ModelShape extends Shape {
  readonly relation: Relation;
}

export interface Naming {
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  /** For messages. */
  readonly label: string;
}

/** Throws `source.model` when the key is not among the columns, or of a type that cannot be one. */
export function shapeOf(naming: Naming, columns: readonly ColumnType[], keyNames: readonly string[]): ModelShape {
  const { id, namespace, name, label } = naming;
  const key = keyNames.map((each) => {
    const place = columns.findIndex((column) => column.name.toLowerCase() === each.toLowerCase());
    const column = columns[place];
    if (column === undefined)
      throw new TailraceError("source.model", `${label} has no column \`${each}\`, which its key names`);
    if (!canBeKey(column.type))
      throw new TailraceError(
        "source.model",
        `${label}: \`${each}\` cannot be a key, because it is of type ${column.type}`,
      );
    return place;
  });
  const known = columns.map((column) => columnOf(column.name, column.type));
  return {
    columns,
    key,
    relation: { id, namespace, name, version: 0, columns: known, key, oldRows: "full" },
  };
}

/** A row whose columns are texts, named `c0`, `c1` … */
export function valuesOf(row: Row, { columns }: Shape): Values {
  return columns.map((_, place) => (row[`c${place}`] ?? null) as string | null);
}
