// Which rows of a subquery can matter to `x IN (SELECT y …)` and its kin.
import { type Node, names } from "./tree.ts";
import { type Container, type Expression, columnOf } from "./graph.ts";

/** What is compared with each column of the subquery. */
export function namesOfTests(test: Node): readonly Node[] {
  return "RowExpr" in test ? (test.RowExpr.args ?? []) : [test];
}

/**
 * The condition that rows outside are whatever the row inside is, unless it holds. `positive`: null counts as false there, as in
 * `WHERE x IN (…)`. Otherwise a null on either side matters, because it makes null of false.
 */
export function inLink(of: {
  readonly outer: Expression;
  readonly inner: Expression;
  readonly operator: readonly Node[] | undefined;
  readonly kind: "ANY" | "ALL";
  readonly positive: boolean;
  readonly home: Container | null;
  readonly container: Container;
}): Expression {
  const { outer, inner, kind, positive, home, container } = of;
  const operator = of.operator ?? [{ String: { sval: "=" } }];
  const [name] = names(operator);
  const references = new Set([...outer.references, ...inner.references]);
  const compare = (op: string | null): Node =>
    ({
      A_Expr: {
        kind: "AEXPR_OP",
        name: op === null ? operator : [{ String: { sval: op } }],
        lexpr: outer.node,
        rexpr: inner.node,
      },
    }) as Node;
  const simple = operator.length === 1;
  if (positive && kind === "ANY") return { node: compare(null), references };
  if (simple && ((kind === "ANY" && name === "=") || (kind === "ALL" && name === "<>"))) {
    const nullable = [
      { side: outer, home },
      { side: inner, home: container },
    ].filter(({ side, home: where }) => !neverNull(side, where));
    const equal = compare("=");
    if (nullable.length === 0) return { node: equal, references };
    const nulls = nullable.map(({ side }) => ({ NullTest: { arg: side.node, nulltesttype: "IS_NULL" } }));
    return { node: { BoolExpr: { boolop: "OR_EXPR", args: [equal, ...nulls] } } as Node, references };
  }
  const booltesttype = kind === "ANY" ? "IS_NOT_FALSE" : "IS_NOT_TRUE";
  return { node: { BooleanTest: { arg: compare(null), booltesttype } }, references };
}

/** A column that is NOT NULL of a reference that is there wherever `home`'s rows are. */
function neverNull(expression: Expression, home: Container | null): boolean {
  const column = columnOf(expression);
  return column !== null && column.column.notNull && (column.reference.home === home || column.reference.home === null);
}
