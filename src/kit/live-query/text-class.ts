// Which expressions have one text for equal values.
import { type Node, binary, names } from "./tree.ts";
import type { BaseTable } from "./catalog.ts";
import { type Expression, columnsRead } from "./graph.ts";
import { type Functions, functionKey } from "./scope.ts";

const TYPES: Readonly<Record<string, string>> = {
  bool: "bool", int2: "int", int4: "int", int8: "int", text: "text", varchar: "text", date: "date", uuid: "uuid",
  timestamp: "timestamp", timestamptz: "timestamptz", bytea: "bytea", oid: "oid",
}; // prettier-ignore
/** A literal that takes the type of what it stands beside. */
const ANY = "any";
const CONCATENATE: ReadonlySet<string> = new Set(["||"]);
const INTEGER: ReadonlySet<string> = new Set(["+", "-", "*"]);

/**
 * Values of one class that are equal have the same text. null: they may not, or we do not know. See `BaseColumn.textClass`.
 */
export function textClass(expression: Expression, functions: Functions): string | null {
  const blurred = [...expression.references].some((reference) =>
    reference.table.columns.some(
      (column) => !column.deterministic && columnsRead(expression, reference).has(column.name),
    ),
  );
  if (blurred) return null;
  const tables = new Map([...expression.references].map(({ alias, table }) => [alias, table]));
  return classOf(expression.node, tables, functions);
}

/** Whether an equality between the two means that their texts are the same. */
export function sameTexts(left: Expression, right: Expression, functions: Functions): boolean {
  const known = textClass(left, functions);
  return known !== null && known !== ANY && known === textClass(right, functions);
}

function classOf(node: Node, tables: ReadonlyMap<string, BaseTable>, functions: Functions): string | null {
  const inner = (child: Node | undefined) => (child ? classOf(child, tables, functions) : ANY);
  if ("ColumnRef" in node) {
    const [alias, name] = names(node.ColumnRef.fields);
    return tables.get(alias ?? "")?.columns.find((column) => column.name === name)?.textClass ?? null;
  }
  if ("A_Const" in node) {
    return node.A_Const.ival ? "int" : node.A_Const.boolval ? "bool" : node.A_Const.fval ? null : ANY;
  }
  if ("TypeCast" in node) {
    const { typeName } = node.TypeCast;
    return typeName?.arrayBounds ? null : (TYPES[names(typeName?.names).at(-1) ?? ""] ?? null);
  }
  if ("CoalesceExpr" in node) return commonClass((node.CoalesceExpr.args ?? []).map(inner));
  if ("MinMaxExpr" in node) return commonClass((node.MinMaxExpr.args ?? []).map(inner));
  if ("CaseExpr" in node) {
    const results = (node.CaseExpr.args ?? []).map((when) => ("CaseWhen" in when ? when.CaseWhen.result : when));
    return commonClass([...results.map(inner), inner(node.CaseExpr.defresult)]);
  }
  if ("FuncCall" in node) {
    const given = node.FuncCall.args?.length ?? 0;
    const fitting = (functions.get(functionKey(node.FuncCall.funcname)) ?? []).filter(
      ({ least, most }) => least <= given && (most === null || given <= most),
    );
    return fitting.length === 0 ? null : commonClass(fitting.map((one) => one.textClass));
  }
  const concatenated = binary(node, CONCATENATE);
  if (concatenated && [concatenated.left, concatenated.right].some((side) => inner(side) === "text")) return "text";
  const computed = binary(node, INTEGER);
  return computed && inner(computed.left) === "int" && inner(computed.right) === "int" ? "int" : null;
}

/** Of values that are put together into one column. */
export function commonClass(classes: readonly (string | null)[]): string | null {
  const known = new Set(classes.filter((one) => one !== ANY));
  if (known.size === 0) return ANY;
  const [first] = known;
  // A literal beside a number with a scale has not that scale.
  const takesLiteral = Object.values(TYPES).includes(first ?? "");
  return known.size === 1 && (takesLiteral || !classes.includes(ANY)) ? first! : null;
}
