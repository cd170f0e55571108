// The tree that a query is followed by: as PostgreSQL's parser makes it. What another database's parser makes is written as such a tree.
import type { parse } from "pgsql-parser";

export type Statements = NonNullable<Awaited<ReturnType<typeof parse>>["stmts"]>;
/** A node as the parser wraps it: `{ ColumnRef: … }`. */
export type Node = NonNullable<Statements[number]["stmt"]>;
type Kinds = Node extends infer N ? (N extends unknown ? keyof N : never) : never;
/** What is inside the wrapping of a kind of node. */
export type Of<K extends Kinds> = Extract<Node, Record<K, unknown>> extends Record<K, infer T> ? T : never;
export type Select = Of<"SelectStmt">;

/** A statement, and where its tokens are in the text. */
export interface ParsedSelect {
  readonly select: Select;
  /** `line 3, column 7` of what a node has as its location; null: the node does not say where it is. */
  place(location: number | undefined): string | null;
}

export function placeIn(before: string): string {
  const line = before.split("\n");
  return `line ${line.length}, column ${line.at(-1)!.length + 1}`;
}

/** Calls `visit` for every node, a parent before its children; `visit` returns false to leave out the children. */
export function walk(root: unknown, visit: (kind: string, node: Record<string, unknown>) => boolean | void): void {
  if (Array.isArray(root)) {
    for (const item of root) walk(item, visit);
  } else if (typeof root === "object" && root !== null) {
    for (const [name, value] of Object.entries(root)) {
      if (typeof value !== "object" || value === null) continue;
      // A kind's name begins with a capital, a field's does not.
      const isKind = !Array.isArray(value) && name[0]! >= "A" && name[0]! <= "Z";
      if (isKind && visit(name, value as Record<string, unknown>) === false) continue;
      walk(value, visit);
    }
  }
}

/** A copy in which `replace` has put another node in place of some; what it returns undefined for is copied. */
export function rewrite<T>(root: T, replace: (node: Record<string, unknown>) => unknown): T {
  if (Array.isArray(root)) return root.map((item: unknown) => rewrite(item, replace)) as T;
  if (typeof root !== "object" || root === null) return root;
  const node = root as Record<string, unknown>;
  const other = replace(node);
  if (other !== undefined) return other as T;
  return Object.fromEntries(Object.entries(node).map(([name, value]) => [name, rewrite(value, replace)])) as T;
}

/** The texts of a list of String nodes; a `*` is null. */
export function names(list: readonly Node[] | undefined): (string | null)[] {
  return (list ?? []).map((node) => ("String" in node ? (node.String.sval ?? "") : null));
}

export function columnRef(...fields: string[]): Node {
  return { ColumnRef: { fields: fields.map((sval) => ({ String: { sval } })) } };
}

/** The operands of a top-level AND, nested ones too; the expression itself if it is none. */
export function conjuncts(expression: Node | undefined): readonly Node[] {
  if (!expression) return [];
  if ("BoolExpr" in expression && expression.BoolExpr.boolop === "AND_EXPR") {
    return (expression.BoolExpr.args ?? []).flatMap((inner) => conjuncts(inner));
  }
  return [expression];
}

/** The operands of `a OP b` with one of these built-in operators; null: it is something else. */
export function binary(
  expression: Node,
  operators: ReadonlySet<string>,
): { readonly left: Node; readonly right: Node } | null {
  if (!("A_Expr" in expression)) return null;
  const { kind, name, lexpr, rexpr } = expression.A_Expr;
  const [operator] = names(name);
  if (kind !== "AEXPR_OP" || name?.length !== 1 || !operators.has(operator ?? "") || !lexpr || !rexpr) return null;
  return { left: lexpr, right: rexpr };
}
