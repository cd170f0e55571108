// How the database calls a column of a result that has no AS. https://www.postgresql.org/docs/current/queries-select-lists.html
import { type Node, names } from "../../../kit/live-query/tree.ts";

const FIXED: Readonly<Record<string, string>> = {
  CoalesceExpr: "coalesce", A_ArrayExpr: "array", RowExpr: "row", GroupingFunc: "grouping", NullIfExpr: "nullif",
  SetToDefault: "?column?", A_Const: "?column?", BoolExpr: "?column?", NullTest: "?column?", BooleanTest: "?column?",
}; // prettier-ignore

/** null: we do not know. */
export function resultName(expression: Node): string | null {
  if ("ColumnRef" in expression) return names(expression.ColumnRef.fields).at(-1) ?? null;
  if ("FuncCall" in expression) return names(expression.FuncCall.funcname).at(-1) ?? null;
  if ("A_Indirection" in expression) {
    const field = names(expression.A_Indirection.indirection).findLast((name) => name !== null);
    return field ?? (expression.A_Indirection.arg ? resultName(expression.A_Indirection.arg) : null);
  }
  if ("TypeCast" in expression) {
    const inner = expression.TypeCast.arg ? resultName(expression.TypeCast.arg) : null;
    return inner !== null && inner !== "?column?" && inner !== "case"
      ? inner
      : (names(expression.TypeCast.typeName?.names).at(-1) ?? null);
  }
  if ("CollateClause" in expression)
    return expression.CollateClause.arg ? resultName(expression.CollateClause.arg) : null;
  if ("CaseExpr" in expression) {
    const inner = expression.CaseExpr.defresult ? resultName(expression.CaseExpr.defresult) : null;
    return inner === null || inner === "?column?" ? "case" : inner;
  }
  if ("MinMaxExpr" in expression) return expression.MinMaxExpr.op === "IS_LEAST" ? "least" : "greatest";
  if ("A_Expr" in expression) return expression.A_Expr.kind === "AEXPR_NULLIF" ? "nullif" : "?column?";
  if ("SubLink" in expression) {
    const { subLinkType, subselect } = expression.SubLink;
    if (subLinkType === "EXISTS_SUBLINK") return "exists";
    if (subLinkType === "ARRAY_SUBLINK") return "array";
    if (subLinkType !== "EXPR_SUBLINK") return "?column?";
    const first = subselect && "SelectStmt" in subselect ? subselect.SelectStmt.targetList?.[0] : undefined;
    if (!first || !("ResTarget" in first)) return null;
    return first.ResTarget.name ?? (first.ResTarget.val ? resultName(first.ResTarget.val) : null);
  }
  return FIXED[Object.keys(expression)[0] ?? ""] ?? null;
}
