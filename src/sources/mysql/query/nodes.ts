// Nodes of the tree.
import type { Node } from "../../../kit/live-query/tree.ts";
import { type Syntax, kindOf, refused, strings } from "./syntax.ts";

/** The type of a literal text, which is the same for no two of them. */
export const TEXT = "text literal";

export function constant(value: unknown, whole: unknown): Node {
  if (value === "Null") return { A_Const: { isnull: true } };
  const [kind] = kindOf(value);
  const inner = (value as Syntax)[kind];
  if (kind === "Number") {
    const [text] = inner as readonly [string];
    const small = /^\d{1,9}$/.test(text);
    return { A_Const: small ? { ival: { ival: Number(text) } } : { fval: { fval: text } } };
  }
  if (kind === "Boolean") return { A_Const: { ival: { ival: inner === true ? 1 : 0 } } };
  if (kind === "SingleQuotedString" || kind === "DoubleQuotedString") {
    return cast({ A_Const: { sval: { sval: String(inner) } } }, TEXT);
  }
  if (kind === "HexStringLiteral" || kind.endsWith("StringLiteral")) return opaque(kind.toLowerCase(), []);
  throw refused(`the literal ${kind}`, whole);
}

/** An expression of which only what is inside of it is known. */
export function opaque(name: string, args: Node[]): Node {
  return { FuncCall: { funcname: strings([`(${name})`]), args } };
}

/** Expressions among the fields of one. */
export function partsIn(body: Syntax): readonly unknown[] {
  if (Array.isArray(body)) return body as readonly unknown[];
  const expressions = Object.entries(body).filter(([name]) => EXPRESSIONS.has(name));
  return expressions.flatMap(([, value]) => (Array.isArray(value) ? (value as unknown[]) : [value]));
}

const EXPRESSIONS: ReadonlySet<string> = new Set([
  "expr", "substring_from", "substring_for", "trim_what", "trim_characters", "in", "match_value",
]); // prettier-ignore

export function cast(arg: Node, type: string): Node {
  return { TypeCast: { arg, typeName: { names: strings([type]) } } };
}

export function negated(yes: boolean, arg: Node): Node {
  return yes ? { BoolExpr: { boolop: "NOT_EXPR", args: [arg] } } : arg;
}

export function listOf(items: Node[]): Node {
  return { List: { items } };
}

export function operation(kind: string, name: string, left: Node, right: Node): Node {
  return { A_Expr: { kind, name: strings([name]), lexpr: left, rexpr: right } } as Node;
}
