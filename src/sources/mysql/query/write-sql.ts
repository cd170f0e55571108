// Expressions of the tree as SQL, every operation in parentheses.
import { NotLive } from "../../../kit/live-query/reasons.ts";
import { type Node, names } from "../../../kit/live-query/tree.ts";
import { identifier, literal } from "../sql.ts";
import { TEXT } from "./nodes.ts";

const TESTS: Readonly<Record<string, string>> = {
  IS_TRUE: "IS TRUE", IS_NOT_TRUE: "IS NOT TRUE", IS_FALSE: "IS FALSE", IS_NOT_FALSE: "IS NOT FALSE", IS_UNKNOWN: "IS UNKNOWN",
  IS_NOT_UNKNOWN: "IS NOT UNKNOWN",
}; // prettier-ignore

/** `aliases`: how the references are called. Throws {@link NotLive} for what it cannot write so that it is read as what it is. */
export function expressionSql(node: Node, aliases: ReadonlyMap<string, string>): string {
  const write = (inner: Node | undefined): string => {
    if (!inner) throw unwritable();
    return expressionSql(inner, aliases);
  };
  if ("ColumnRef" in node) {
    const [reference, column] = names(node.ColumnRef.fields);
    const alias = aliases.get(reference ?? "");
    if (alias === undefined) throw unwritable();
    return `${alias}.${identifier(column ?? "")}`;
  }
  if ("A_Const" in node) {
    const { ival, fval, isnull } = node.A_Const;
    if (isnull === true) return "NULL";
    const number = ival ? String(ival.ival ?? 0) : fval?.fval;
    if (number === undefined) throw unwritable();
    return number;
  }
  if ("TypeCast" in node) {
    const { arg, typeName } = node.TypeCast;
    const [type] = names(typeName?.names);
    if (type === TEXT && arg && "A_Const" in arg) return literal(arg.A_Const.sval?.sval ?? "");
    if (type === "int8") return `CAST(${write(arg)} AS SIGNED)`;
    if (type === "unsigned") return `CAST(${write(arg)} AS UNSIGNED)`;
    throw unwritable();
  }
  if ("A_Expr" in node) {
    const { kind, name, lexpr, rexpr } = node.A_Expr;
    const [operator] = names(name);
    const left = write(lexpr);
    const items = rexpr && "List" in rexpr ? (rexpr.List.items ?? []).map(write) : [];
    switch (kind) {
      case "AEXPR_OP":
        return `(${left} ${operator} ${write(rexpr)})`;
      case "AEXPR_NOT_DISTINCT":
        return `(${left} <=> ${write(rexpr)})`;
      case "AEXPR_IN":
        return `(${left} ${operator === "=" ? "IN" : "NOT IN"} (${items.join(", ")}))`;
      case "AEXPR_BETWEEN":
        return `(${left} BETWEEN ${items.join(" AND ")})`;
      case "AEXPR_NOT_BETWEEN":
        return `(${left} NOT BETWEEN ${items.join(" AND ")})`;
      default:
        throw unwritable();
    }
  }
  if ("BoolExpr" in node) {
    const { boolop, args } = node.BoolExpr;
    const written = (args ?? []).map(write);
    if (boolop === "NOT_EXPR") return `(NOT ${written[0]})`;
    return `(${written.join(boolop === "AND_EXPR" ? " AND " : " OR ")})`;
  }
  if ("NullTest" in node) {
    return `(${write(node.NullTest.arg)} ${node.NullTest.nulltesttype === "IS_NULL" ? "IS NULL" : "IS NOT NULL"})`;
  }
  if ("BooleanTest" in node) {
    const test = TESTS[node.BooleanTest.booltesttype ?? ""];
    if (test === undefined) throw unwritable();
    return `(${write(node.BooleanTest.arg)} ${test})`;
  }
  if ("CoalesceExpr" in node) return `COALESCE(${(node.CoalesceExpr.args ?? []).map(write).join(", ")})`;
  if ("MinMaxExpr" in node) {
    const { op, args } = node.MinMaxExpr;
    return `${op === "IS_LEAST" ? "LEAST" : "GREATEST"}(${(args ?? []).map(write).join(", ")})`;
  }
  if ("CaseExpr" in node) {
    const { arg, args, defresult } = node.CaseExpr;
    const whens = (args ?? []).map((when) => {
      if (!("CaseWhen" in when)) throw unwritable();
      return `WHEN ${write(when.CaseWhen.expr)} THEN ${write(when.CaseWhen.result)}`;
    });
    const otherwise = defresult ? ` ELSE ${write(defresult)}` : "";
    return `(CASE ${arg ? `${write(arg)} ` : ""}${whens.join(" ")}${otherwise} END)`;
  }
  if ("FuncCall" in node) {
    const { funcname, args } = node.FuncCall;
    const [name] = names(funcname);
    if (!/^[a-z][a-z0-9_]*$/.test(name ?? "")) throw unwritable();
    return `${name}(${(args ?? []).map(write).join(", ")})`;
  }
  throw unwritable();
}

function unwritable(): NotLive {
  return new NotLive("an expression that cannot be written out again", "write it in another way");
}
