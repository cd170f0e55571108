// What the clauses of a SELECT name.
import { type Node, type Select, names, walk } from "./tree.ts";
import { textOf } from "./graph.ts";
import type { Scope } from "./scope.ts";

/** A WITH query, and what its text can see. */
export interface Common {
  readonly query: Select;
  readonly columns: readonly (string | null)[];
  readonly surroundings: Surroundings;
}

export interface Surroundings {
  /** What a correlated subquery sees. */
  readonly scope: Scope | null;
  readonly commons: ReadonlyMap<string, Common>;
  readonly path: readonly string[];
  place(location: number | undefined): string | null;
}

/** What the text of a SELECT with WITH sees. */
export function withCommons(select: Select, around: Surroundings): Surroundings {
  const commons = new Map(around.commons);
  const surroundings = { ...around, commons };
  for (const node of select.withClause?.ctes ?? []) {
    if (!("CommonTableExpr" in node)) continue;
    const { ctename, ctequery, aliascolnames, search_clause, cycle_clause } = node.CommonTableExpr;
    if (search_clause || cycle_clause || !ctequery || !("SelectStmt" in ctequery)) continue;
    // Of a WITH RECURSIVE, each sees all of them; else, those before it.
    const seen = select.withClause?.recursive ? surroundings : { ...around, commons: new Map(commons) };
    commons.set(ctename ?? "", { query: ctequery.SelectStmt, columns: names(aliascolnames), surroundings: seen });
  }
  return surroundings;
}

export function limits(limit: Node | undefined): boolean {
  return limit !== undefined && !("A_Const" in limit && limit.A_Const.isnull);
}

/** What DISTINCT ON or GROUP BY names by its place or name in the result. */
export function target(
  expression: Node,
  targets: readonly { name?: string; val?: Node }[],
  resultName: (expression: Node) => string | null,
): Node | undefined {
  if ("A_Const" in expression && expression.A_Const.ival) return targets[(expression.A_Const.ival.ival ?? 0) - 1]?.val;
  const fields = "ColumnRef" in expression ? names(expression.ColumnRef.fields) : [];
  if (fields.length !== 1 || fields[0] === null) return undefined;
  return targets.find(({ name, val }) => (name ?? (val && resultName(val))) === fields[0])?.val;
}

/** The PARTITION BY of each window that is used; those that are the same once. */
export function partitions(select: Select): readonly (readonly Node[])[] {
  type Window = { name?: string; refname?: string; partitionClause?: Node[] };
  const named = new Map<string, Window>();
  for (const node of select.windowClause ?? []) {
    if ("WindowDef" in node && node.WindowDef.name) named.set(node.WindowDef.name, node.WindowDef);
  }
  const partitionOf = (window: Window): readonly Node[] => {
    if (window.partitionClause) return window.partitionClause;
    const base = window.refname ?? window.name;
    const other = base === undefined ? undefined : named.get(base);
    return other && other !== window ? partitionOf(other) : [];
  };
  const found = new Map<string, readonly Node[]>();
  walk([select.targetList, select.sortClause, select.distinctClause], (kind, node) => {
    if (kind === "SubLink") return false;
    if (kind === "FuncCall" && node["over"]) {
      const by = partitionOf(node["over"]);
      const key = by.map((one) => textOf({ node: one, references: new Set() })).join();
      found.set(key, by);
    }
    return true;
  });
  return [...found.values()];
}
