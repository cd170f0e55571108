// Which column a name means, by SQL's rules, and what it is made of.
import { type Node, columnRef, names, rewrite, walk } from "./tree.ts";
import type { FunctionInfo } from "./catalog.ts";
import type { Expression, TableReference } from "./graph.ts";
import { NotLive } from "./reasons.ts";

/** A column of something in FROM, or of a query's result. */
export interface Column {
  /** null: we do not know how the database calls it. */
  readonly name: string | null;
  /** null: it is not simply a function of single rows (an aggregate, a window function, a subquery …), or not known. */
  readonly value: Expression | null;
}

export interface Item {
  readonly alias: string | null;
  readonly columns: readonly Column[];
  /** It may have columns that we do not know of. */
  readonly open: boolean;
  readonly reference: TableReference | null;
}

/** What one FROM makes visible. */
export interface Level {
  readonly items: readonly Item[];
  /** Without a qualifier, in the order of `*`. */
  readonly columns: readonly Column[];
}

export interface Scope {
  readonly level: Level;
  readonly parent: Scope | null;
}

/** The functions of the query by their names as written, looked up beforehand. */
export type Functions = ReadonlyMap<string, readonly FunctionInfo[]>;

export const EMPTY: Level = { items: [], columns: [] };

export function beside(left: Level, right: Level): Level {
  return { items: [...left.items, ...right.items], columns: [...left.columns, ...right.columns] };
}

export function levelOf(item: Item): Level {
  return { items: [item], columns: item.columns };
}

const SYSTEM_COLUMNS: ReadonlySet<string> = new Set(["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"]);

/** null: it is not made of single rows of tables, or we do not know of what. */
function lookup(fields: readonly (string | null)[], scope: Scope | null): Expression | null {
  const name = fields.at(-1);
  if (name === null || name === undefined) return null;
  const qualifier = fields.length > 1 ? fields.at(-2)! : null;
  for (let at = scope; at !== null; at = at.parent) {
    const { items, columns } = at.level;
    const within = qualifier === null ? items : items.filter(({ alias }) => alias === qualifier);
    const visible = qualifier === null ? columns : within.flatMap((item) => item.columns);
    const found = visible.find((column) => column.name === name);
    if (found) return found.value;
    if (SYSTEM_COLUMNS.has(name) && within.some(({ reference }) => reference !== null)) {
      throw new NotLive(`the system column ${name}`, "it is not in the log: leave it out");
    }
    // It may be one that we have no name for, or a whole row.
    if (within.some((item) => item.open || item.columns.some((column) => column.name === null))) return null;
    if (qualifier !== null ? within.length > 0 : items.some(({ alias }) => alias === name)) return null;
  }
  return null;
}

/** What an expression is made of; null: not of single rows alone. */
export function resolve(expression: Node, scope: Scope | null, functions: Functions): Expression | null {
  if (!rowWise(expression, functions)) return null;
  const references = new Set<TableReference>();
  let known = true;
  const node = rewrite(expression, (inner) => {
    if (!("ColumnRef" in inner)) return undefined;
    const value = lookup(names((inner as { ColumnRef: { fields?: Node[] } }).ColumnRef.fields), scope);
    if (value === null) {
      known = false;
      return inner;
    }
    for (const reference of value.references) references.add(reference);
    return value.node;
  });
  return known ? { node, references } : null;
}

export function baseColumn(reference: TableReference, name: string): Expression {
  return { node: columnRef(reference.alias, name), references: new Set([reference]) };
}

export function functionKey(funcname: readonly Node[] | undefined): string {
  return JSON.stringify(names(funcname));
}

/** Whether it has one value for one combination of rows, without reading other rows. */
function rowWise(expression: Node, functions: Functions): boolean {
  let yes = true;
  walk(expression, (kind, node) => {
    if (kind === "SubLink" || kind === "GroupingFunc" || kind === "ParamRef") yes = false;
    if (kind === "FuncCall") {
      const known = functions.get(functionKey(node["funcname"] as Node[])) ?? [];
      if (node["over"] || known.length === 0 || known.some((one) => one.kind !== "function" || one.returnsSet))
        yes = false;
    }
    return yes;
  });
  return yes;
}

/** Whether there is an aggregate of this very query in it. */
export function aggregates(expression: unknown, functions: Functions): boolean {
  let found = false;
  walk(expression, (kind, node) => {
    if (kind === "SubLink") return false;
    if (kind === "FuncCall" && !node["over"]) {
      const known = functions.get(functionKey(node["funcname"] as Node[])) ?? [];
      if (known.some((one) => one.kind === "aggregate")) found = true;
    }
    // JSON_ARRAYAGG and JSON_OBJECTAGG have a syntax of their own.
    if (kind === "JsonArrayAgg" || kind === "JsonObjectAgg") found = true;
    return !found;
  });
  return found;
}
