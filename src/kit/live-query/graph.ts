// A query taken apart: every reference to a table, and the conditions that link two of them.
import { type Node, binary, walk } from "./tree.ts";
import type { BaseColumn, BaseTable } from "./catalog.ts";

/**
 * A place in the query whose rows need not be there for the rows around it to be: the nullable side of an outer join, a subquery in an
 * expression, the rows that an aggregate without GROUP BY reads.
 */
export interface Container {
  readonly parent: Container | null;
  readonly kind: "join" | "subquery" | "aggregate" | "window" | "DISTINCT ON" | "LIMIT";
  /** A `join` whose rows without a match are dropped further up: it is an inner join. */
  inner: boolean;
}

/** One occurrence of a table in the query. */
export interface TableReference {
  /** The name that it has in our SQL. */
  readonly alias: string;
  readonly table: BaseTable;
  readonly home: Container | null;
  /** How it is named in the query, for people: `recent > o`. */
  readonly path: string;
  readonly place: string | null;
}

/** An expression over columns of references; `{ ColumnRef: [alias, column] }` are its only names. */
export interface Expression {
  readonly node: Node;
  readonly references: ReadonlySet<TableReference>;
}

/**
 * A condition that every row of a reference in its home fulfils, or the row has no effect. `same`: its two sides are equal or both null.
 */
export interface Link {
  readonly expression: Expression;
  readonly same: { readonly left: Expression; readonly right: Expression } | null;
  /** Asked when it is known which joins are inner; undefined: it holds for no reference. */
  home(): Container | null | undefined;
}

/** What a query is made of, where each UNION is one of its branches. */
export interface Graph {
  readonly references: readonly TableReference[];
  readonly links: readonly Link[];
  /** Expressions of which a FULL JOIN says that they are equal wherever they are not null. */
  readonly merged: readonly (readonly Expression[])[];
  /** Of the key's columns; null: it is not known what it is made of. */
  readonly key: readonly (Expression | null)[];
}

/** The innermost container that is left. */
export function effective(container: Container | null): Container | null {
  let at = container;
  while (at !== null && at.kind === "join" && at.inner) at = at.parent;
  return at;
}

/** Whether rows of `container` are only there together with one of `around`'s. */
export function encloses(around: Container | null, container: Container | null): boolean {
  const wanted = effective(around);
  for (let at = effective(container); at !== wanted; at = effective(at.parent)) if (at === null) return false;
  return true;
}

export function columnOf(expression: Expression): { reference: TableReference; column: BaseColumn } | null {
  if (!("ColumnRef" in expression.node)) return null;
  const [reference] = expression.references;
  const name = columnName(expression.node);
  const column = reference?.table.columns.find((candidate) => candidate.name === name);
  return reference && column ? { reference, column } : null;
}

function columnName(node: Node): string | null {
  const last = "ColumnRef" in node ? node.ColumnRef.fields?.[1] : undefined;
  return last && "String" in last ? (last.String.sval ?? "") : null;
}

/** A part of an expression, with those of its references that are in it. */
export function partOf(node: Node, { references }: Expression): Expression {
  const aliases = new Set<string>();
  walk(node, (kind, inner) => {
    const [first] = kind === "ColumnRef" ? (inner["fields"] as readonly { String: { sval?: string } }[]) : [];
    if (first) aliases.add(first.String.sval ?? "");
  });
  return { node, references: new Set([...references].filter(({ alias }) => aliases.has(alias))) };
}

/** The operands of a COALESCE, nested ones too; the expression itself if it is none. */
export function coalesced(expression: Expression): readonly Expression[] {
  const { node } = expression;
  if (!("CoalesceExpr" in node)) return [expression];
  return (node.CoalesceExpr.args ?? []).flatMap((inner) => coalesced(partOf(inner, expression)));
}

/**
 * The columns that are equal to this one wherever both are there: itself, if it is a column, or those of which FULL JOINs make it. null: it is
 * something else.
 */
export function mergedColumns(expression: Expression, merged: Graph["merged"]): readonly Expression[] | null {
  const columns = coalesced(expression);
  if (!columns.every((column) => columnOf(column))) return null;
  if (columns.length === 1) return columns;
  const texts = columns.map(textOf);
  const together = merged.some((list) => {
    const listed = new Set(list.map(textOf));
    return texts.every((text) => listed.has(text));
  });
  return together ? columns : null;
}

/** Names of the columns of `reference` that an expression reads. */
export function columnsRead(expression: Expression, reference: TableReference): ReadonlySet<string> {
  const read = new Set<string>();
  walk(expression.node, (kind, inner) => {
    if (kind !== "ColumnRef") return;
    const [alias, name] = (inner["fields"] as readonly { String: { sval?: string } }[]).map(
      ({ String }) => String.sval,
    );
    if (alias === reference.alias) read.add(name ?? "");
  });
  return read;
}

/** Two expressions have the same text exactly if they are the same. */
export function textOf(expression: Expression): string {
  return JSON.stringify(expression.node, (name, value: unknown) => (name === "location" ? undefined : value));
}

const COMPARISONS: ReadonlySet<string> = new Set(["=", "<", ">", "<=", ">=", "<>"]);
// Not ||: of arrays, it takes null for an empty one.
const ARITHMETIC: ReadonlySet<string> = new Set(["+", "-", "*", "/"]);
export const EQUAL: ReadonlySet<string> = new Set(["="]);

/** Whether a value is null for sure when the reference has no row. */
export function strict(node: Node, reference: TableReference): boolean {
  if ("ColumnRef" in node) {
    const first = node.ColumnRef.fields?.[0];
    return first !== undefined && "String" in first && first.String.sval === reference.alias;
  }
  if ("TypeCast" in node) return node.TypeCast.arg !== undefined && strict(node.TypeCast.arg, reference);
  const operands = binary(node, ARITHMETIC);
  return operands !== null && (strict(operands.left, reference) || strict(operands.right, reference));
}

/** Whether a condition is not true for sure when the reference has no row. */
export function rejectsMissing(link: Link, reference: TableReference): boolean {
  const { node } = link.expression;
  const operands = binary(node, COMPARISONS);
  if (operands) return strict(operands.left, reference) || strict(operands.right, reference);
  if ("NullTest" in node) {
    return node.NullTest.nulltesttype === "IS_NOT_NULL" && !!node.NullTest.arg && strict(node.NullTest.arg, reference);
  }
  return false;
}

export function equality(left: Expression, right: Expression): Expression {
  const node = {
    A_Expr: { kind: "AEXPR_OP", name: [{ String: { sval: "=" } }], lexpr: left.node, rexpr: right.node },
  } as Node;
  return { node, references: new Set([...left.references, ...right.references]) };
}

/** A key is never null: what is the same as it is equal to it. */
export function withPlainEqualities(graph: Graph): Graph {
  const key = new Set(graph.key.flatMap((part) => (part ? [textOf(part)] : [])));
  const links = graph.links.map((link): Link => {
    const { same } = link;
    if (!same || ![same.left, same.right].some((side) => key.has(textOf(side)))) return link;
    return { expression: equality(same.left, same.right), same: null, home: () => link.home() };
  });
  return { ...graph, links };
}

/** Marks the outer joins as inner whose rows without a match a condition above them drops, or have no key. */
export function reduceOuterJoins(graph: Graph): void {
  for (const key of graph.key) {
    for (const reference of key?.references ?? []) {
      if (strict(key!.node, reference)) makeInner(reference.home, null);
    }
  }
  let changed = true;
  while (changed) {
    changed = false;
    for (const link of graph.links) {
      const home = link.home();
      if (home === undefined) continue;
      for (const reference of link.expression.references) {
        if (encloses(home, reference.home) && rejectsMissing(link, reference)) {
          changed = makeInner(reference.home, home) || changed;
        }
      }
    }
  }
}

function makeInner(from: Container | null, upTo: Container | null): boolean {
  let changed = false;
  const end = effective(upTo);
  for (let at = effective(from); at !== end && at !== null; at = effective(at)) {
    if (at.kind !== "join") return changed;
    at.inner = true;
    changed = true;
  }
  return changed;
}
