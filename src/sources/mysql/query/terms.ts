// Expressions, from what the parser makes of them to the tree that queries are followed by.
import type { Node } from "../../../kit/live-query/tree.ts";
import { cast, constant, listOf, negated, opaque, operation, partsIn } from "./nodes.ts";
import {
  type Syntax,
  fold,
  isEmpty,
  kindOf,
  list,
  locationOf,
  nameIn,
  namesIn,
  only,
  refused,
  strings,
} from "./syntax.ts";

/** How a query inside of an expression is written. */
export type WriteQuery = (query: Syntax) => Node;

const COMPARISONS: Readonly<Record<string, string>> = {
  Eq: "=",
  NotEq: "<>",
  Lt: "<",
  LtEq: "<=",
  Gt: ">",
  GtEq: ">=",
};
const ARITHMETIC: Readonly<Record<string, string>> = {
  Plus: "+", Minus: "-", Multiply: "*", Divide: "/", Modulo: "%", MyIntegerDivide: "DIV",
}; // prettier-ignore
const TESTS: Readonly<Record<string, string>> = {
  IsTrue: "IS_TRUE", IsNotTrue: "IS_NOT_TRUE", IsFalse: "IS_FALSE", IsNotFalse: "IS_NOT_FALSE", IsUnknown: "IS_UNKNOWN",
  IsNotUnknown: "IS_NOT_UNKNOWN",
}; // prettier-ignore
/** What compares: where one stands in another without parentheses, the parser and the database may not read it alike. */
const COMPARING: ReadonlySet<string> = new Set([
  ...Object.keys(TESTS), "IsNull", "IsNotNull", "Like", "ILike", "RLike", "SimilarTo", "Between", "InList", "InSubquery", "InUnnest", "AllOp", "AnyOp",
]); // prettier-ignore

export class Terms {
  readonly #query: WriteQuery;

  constructor(query: WriteQuery) {
    this.#query = query;
  }

  all(expressions: unknown): Node[] {
    return list(expressions).map((one) => this.term(one));
  }

  /** Those that are there. */
  parts(expressions: readonly unknown[]): Node[] {
    return this.all(expressions.filter((one) => !isEmpty(one)));
  }

  /** Throws {@link NotLive} for what it does not know. */
  term(expression: unknown): Node {
    const [kind, body] = kindOf(expression);
    if (COMPARING.has(kind))
      this.#plain([body["expr"] ?? body["left"] ?? body, body["low"], body["high"], body["pattern"]], expression);
    switch (kind) {
      case "Nested":
        return this.term(body);
      case "Identifier":
        return column([body], expression);
      case "CompoundIdentifier":
        return column(list(body), expression);
      case "Value":
        return constant(body["value"], expression);
      case "BinaryOp":
        return this.#binary(body, expression);
      case "UnaryOp":
        return this.#unary(body, expression);
      case "IsNull":
      case "IsNotNull":
        return { NullTest: { arg: this.term(body), nulltesttype: kind === "IsNull" ? "IS_NULL" : "IS_NOT_NULL" } };
      case "Between":
        return operation(
          body["negated"] === true ? "AEXPR_NOT_BETWEEN" : "AEXPR_BETWEEN",
          "BETWEEN",
          this.term(body["expr"]),
          listOf([this.term(body["low"]), this.term(body["high"])]),
        );
      case "InList":
        return operation(
          "AEXPR_IN",
          body["negated"] === true ? "<>" : "=",
          this.term(body["expr"]),
          listOf(this.all(body["list"])),
        );
      case "Like":
        return opaque("like", this.parts([body["expr"], body["pattern"]]));
      case "RLike":
        return opaque("rlike", this.parts([body["expr"], body["pattern"]]));
      case "Exists":
        return negated(body["negated"] === true, {
          SubLink: { subLinkType: "EXISTS_SUBLINK", subselect: this.#query(body["subquery"] as Syntax) },
        });
      case "Subquery":
        return { SubLink: { subLinkType: "EXPR_SUBLINK", subselect: this.#query(body) } };
      case "InSubquery":
        return negated(body["negated"] === true, {
          SubLink: {
            subLinkType: "ANY_SUBLINK",
            testexpr: this.#test(body["expr"]),
            subselect: this.#query(body["subquery"] as Syntax),
          },
        });
      case "AnyOp":
      case "AllOp":
        return this.#quantified(kind, body, expression);
      case "Case":
        return this.#case(body);
      case "Cast":
        // `BINARY a = b` is read as if all of it were made binary.
        this.#plain([body["expr"]], expression);
        if (body["data_type"] === "Unsigned" || body["data_type"] === "Signed") {
          return cast(this.term(body["expr"]), body["data_type"] === "Signed" ? "int8" : "unsigned");
        }
        return opaque("cast", this.parts([body["expr"]]));
      case "Collate":
      case "Convert":
      case "Extract":
      case "Floor":
      case "Ceil":
      case "Position":
      case "Substring":
      case "Trim":
      case "Interval":
      case "TypedString":
      case "Tuple":
      case "MatchAgainst":
      case "Prefixed":
      case "JsonAccess":
        return opaque(kind.toLowerCase(), this.parts(partsIn(body)));
      case "Function":
        return this.#function(body, expression);
      default: {
        const test = TESTS[kind];
        if (test === undefined) throw refused(`the expression ${kind}`, expression);
        return { BooleanTest: { arg: this.term(body), booltesttype: test } } as Node;
      }
    }
  }

  #binary(body: Syntax, whole: unknown): Node {
    const { left, op, right } = body as { left: unknown; op: string; right: unknown };
    if (op === "And" || op === "Or") {
      const boolop = op === "And" ? "AND_EXPR" : "OR_EXPR";
      return { BoolExpr: { boolop, args: [this.term(left), this.term(right)] } };
    }
    const compared = op === "Spaceship" ? "=" : COMPARISONS[op];
    if (compared !== undefined) {
      this.#plain([left, right], whole);
      const kind = op === "Spaceship" ? "AEXPR_NOT_DISTINCT" : "AEXPR_OP";
      return operation(kind, compared, this.term(left), this.term(right));
    }
    const computed = ARITHMETIC[op];
    if (computed !== undefined) {
      this.#plain([left, right], whole);
      // What is added may be a time.
      if ([left, right].some((side) => kindOf(side)[0] === "Interval"))
        return opaque("interval", this.parts([left, right]));
      return operation("AEXPR_OP", computed, this.term(left), this.term(right));
    }
    if (op === "Arrow" || op === "LongArrow") return opaque("json_extract", this.parts([left, right]));
    // The parser and the database do not read these alike where others stand beside them.
    throw refused(`the operator ${typeof op === "string" ? op : "that is not known"}`, whole);
  }

  /** Refuses operands that are no operand of this where the database reads them, since they are not in parentheses. */
  #plain(operands: readonly unknown[], whole: unknown): void {
    for (const operand of operands) {
      const [kind, body] = kindOf(operand);
      const op = String(body["op"]);
      const comparing =
        COMPARING.has(kind) ||
        (kind === "UnaryOp" && op === "Not") ||
        (kind === "Exists" && body["negated"] === true) ||
        (kind === "BinaryOp" && ARITHMETIC[op] === undefined && op !== "Arrow" && op !== "LongArrow");
      if (comparing) throw refused("comparisons beside each other", whole, "put the inner one into parentheses");
    }
  }

  #unary(body: Syntax, whole: unknown): Node {
    const { op, expr } = body as { op: string; expr: unknown };
    if (op === "Not") return negated(true, this.term(expr));
    if (op !== "Minus" && op !== "Plus") throw refused(`the operator ${op}`, whole);
    this.#plain([expr], whole);
    const zero: Node = { A_Const: { ival: { ival: 0 } } };
    return operation("AEXPR_OP", op === "Minus" ? "-" : "+", zero, this.term(expr));
  }

  #test(expression: unknown): Node {
    const [kind, body] = kindOf(expression);
    return kind === "Tuple" ? { RowExpr: { args: this.all(body) } } : this.term(expression);
  }

  #quantified(kind: string, body: Syntax, whole: unknown): Node {
    const name = COMPARISONS[String(body["compare_op"])];
    const [inner, query] = kindOf(body["right"]);
    if (name === undefined || inner !== "Subquery") throw refused("ALL or ANY", whole);
    return {
      SubLink: {
        subLinkType: kind === "AllOp" ? "ALL_SUBLINK" : "ANY_SUBLINK",
        testexpr: this.#test(body["left"]),
        operName: strings([name]),
        subselect: this.#query(query),
      },
    };
  }

  #case(body: Syntax): Node {
    const { operand, conditions, else_result: otherwise } = body;
    const args = list(conditions).map((one) => {
      const { condition, result } = one as Syntax;
      return { CaseWhen: { expr: this.term(condition), result: this.term(result) } };
    });
    return {
      CaseExpr: {
        args,
        ...(isEmpty(operand) ? {} : { arg: this.term(operand) }),
        ...(isEmpty(otherwise) ? {} : { defresult: this.term(otherwise) }),
      },
    };
  }

  #function(body: Syntax, whole: unknown): Node {
    only(body, ["name", "args", "over", "uses_odbc_syntax", "parameters"], "a function call");
    const names = namesIn(body["name"]);
    if (names.length !== 1)
      throw refused(`the function ${names.join(".")}`, whole, "what it reads cannot be seen: write its query out");
    const name = names[0]!.toLowerCase();
    const [form, given] = kindOf(body["args"]);
    if (form !== "None" && form !== "List") throw refused(`the call of ${name}`, whole);
    const args = list(given["args"]).flatMap((one) => this.#argument(one, whole));
    const clauses = list(given["clauses"]).flatMap((one) => {
      const [kind, inner] = kindOf(one);
      if (kind === "OrderBy") return list(inner).map((by) => this.term((by as Syntax)["expr"]));
      if (kind === "Separator") return [];
      throw refused(`${kind} in ${name}`, whole);
    });
    const [first, second, third] = args;
    const plain = isEmpty(body["over"]) && clauses.length === 0;
    if (plain && (name === "coalesce" || name === "ifnull")) return { CoalesceExpr: { args } };
    if (plain && name === "if" && third) {
      return { CaseExpr: { args: [{ CaseWhen: { expr: first!, result: second! } }], defresult: third } };
    }
    if (plain && (name === "greatest" || name === "least")) {
      return { MinMaxExpr: { op: name === "least" ? "IS_LEAST" : "IS_GREATEST", args } };
    }
    const location = locationOf(body["name"]);
    return {
      FuncCall: {
        funcname: strings([name]),
        args: [...args, ...clauses],
        ...(location === undefined ? {} : { location }),
        ...(isEmpty(body["over"]) ? {} : { over: this.#window(body["over"], whole) }),
      },
    };
  }

  #argument(argument: unknown, whole: unknown): readonly Node[] {
    const [kind, value] = kindOf(argument);
    if (kind !== "Unnamed") throw refused("a named argument", whole);
    const unnamed = (argument as { readonly Unnamed: unknown }).Unnamed;
    if (unnamed === "Wildcard") return [];
    const [form] = kindOf(value);
    if (form !== "Expr") throw refused(`the argument ${form}`, whole);
    return [this.term(value["Expr"])];
  }

  #window(over: unknown, whole: unknown): object {
    const [kind, body] = kindOf(over);
    if (kind === "NamedWindow") return { name: fold(nameIn(body)) };
    if (kind !== "WindowSpec") throw refused(`the window ${kind}`, whole);
    return this.windowSpec(body);
  }

  windowSpec(body: Syntax): object {
    only(body, ["partition_by", "order_by", "window_name", "window_frame"], "a window");
    const partition = this.all(body["partition_by"]);
    return {
      ...(isEmpty(body["window_name"]) ? {} : { refname: fold(nameIn(body["window_name"])) }),
      ...(partition.length === 0 ? {} : { partitionClause: partition }),
      orderClause: list(body["order_by"]).map((by) => this.term((by as Syntax)["expr"])),
    };
  }
}

function column(parts: readonly unknown[], whole: unknown): Node {
  const names = parts.map(nameIn);
  if (names[0]!.startsWith("@"))
    throw refused(`the variable ${names.join(".")}`, whole, "its value is that of a session: leave it out");
  return { ColumnRef: { fields: strings(names.map(fold)) } };
}
