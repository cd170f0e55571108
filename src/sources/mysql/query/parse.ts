// A SELECT of MySQL or MariaDB, as the tree that queries are followed by.
import type { Node, ParsedSelect, Select } from "../../../kit/live-query/tree.ts";
import { walk } from "../../../kit/live-query/tree.ts";
import { NotLive } from "../../../kit/live-query/reasons.ts";
import { isAggregate } from "./functions.ts";
import { Names } from "./names.ts";
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
  placeOf,
  refused,
  strings,
} from "./syntax.ts";
import { Terms } from "./terms.ts";

/** `sql`: what the database takes as one SELECT. Throws {@link NotLive} for what the parser, or we, do not know. */
export async function parseSelect(sql: string): Promise<ParsedSelect> {
  // Which of them the server leaves out depends on its version.
  if (/\/\*M?!/.test(sql)) throw new NotLive("a comment that may be part of the statement (/*! … */)", "leave it out");
  const { init, parse } = await import("@guanmingchiu/sqlparser-ts");
  await init();
  let statements: readonly unknown[];
  try {
    statements = parse(sql, "mysql");
  } catch (error) {
    const { message } = error as Error;
    const [, line, place] = /Line: (\d+), Column: (\d+)/.exec(message) ?? [];
    throw new NotLive(
      `what the parser does not know (${message.replace(/^sql parser error: /, "").replace(/ at Line: .*$/, "")})`,
      "write it in another way",
      line === undefined ? null : `line ${line}, column ${place}`,
    );
  }
  const [kind, query] = kindOf(statements[0]);
  if (statements.length !== 1 || kind !== "Query") throw new NotLive("a statement that is no SELECT", "write a SELECT");
  return { select: new Translation().query(query), place: placeOf };
}

class Translation {
  readonly #names = new Names();
  readonly #terms: Terms = new Terms((query) => ({ SelectStmt: this.query(query) }));

  query(query: Syntax): Select {
    only(query, ["with", "body", "order_by", "limit_clause"], "a query");
    const leave = this.#names.enter();
    const withClause = isEmpty(query["with"]) ? {} : { withClause: this.#with(query["with"] as Syntax) };
    const select: Select = { ...this.#body(query["body"]), ...withClause };
    const order = isEmpty(query["order_by"]) ? [] : this.#order(query["order_by"] as Syntax);
    const limits = isEmpty(query["limit_clause"]) ? {} : this.#limits(query["limit_clause"]);
    leave();
    const inside = select.sortClause ?? [];
    const aggregated = select.larg ? select : withoutPlainHaving({ ...select, sortClause: [...inside, ...order] });
    return { ...aggregated, ...limits };
  }

  #with(body: Syntax): NonNullable<Select["withClause"]> {
    only(body, ["with_token", "recursive", "cte_tables"], "WITH");
    const recursive = body["recursive"] === true;
    const ctes = list(body["cte_tables"]).map((one) => {
      const common = one as Syntax;
      only(common, ["alias", "query", "closing_paren_token"], "WITH");
      const { name, columns } = aliasOf(common["alias"]);
      const spelled = nameIn((common["alias"] as Syntax)["name"]);
      if (recursive) this.#names.add(spelled);
      const ctequery: Node = { SelectStmt: this.query(common["query"] as Syntax) };
      this.#names.add(spelled);
      return { CommonTableExpr: { ctename: name, ctequery, aliascolnames: strings(columns) } };
    });
    return { ctes, recursive };
  }

  #order(body: Syntax): Node[] {
    const [kind, expressions] = kindOf(body["kind"]);
    if (kind !== "Expressions") throw refused(`ORDER BY ${kind}`, body);
    return list(expressions).map((one) => this.#withoutQuery((one as Syntax)["expr"], "ORDER BY"));
  }

  /** What is named there may be a column of the result. */
  #withoutQuery(expression: unknown, where: string): Node {
    const node = this.#terms.term(expression);
    walk(node, (kind) => {
      if (kind === "SubLink")
        throw refused(`a subquery in ${where}`, expression, "make it a column of a subquery in FROM");
    });
    return node;
  }

  #limits(clause: unknown): Pick<Select, "limitCount" | "limitOffset"> {
    const [, body] = kindOf(clause);
    const { limit, offset, limit_by: by } = body;
    if (!isEmpty(by)) throw refused("LIMIT BY", clause);
    const count = isEmpty(limit) ? null : this.#terms.term(limit);
    // `LIMIT 2, 3` has the expression itself.
    const from = isEmpty(offset) ? null : this.#terms.term((offset as Syntax)["value"] ?? offset);
    return { ...(count ? { limitCount: count } : {}), ...(from ? { limitOffset: from } : {}) };
  }

  #body(node: unknown): Select {
    const [kind, body] = kindOf(node);
    switch (kind) {
      case "Select":
        return this.#select(body);
      case "Query":
        return this.query(body);
      case "SetOperation": {
        const { op, set_quantifier: quantifier } = body as { op: string; set_quantifier: string };
        const operations: Readonly<Record<string, string>> = {
          Union: "SETOP_UNION", Except: "SETOP_EXCEPT", Intersect: "SETOP_INTERSECT",
        }; // prettier-ignore
        const setop = operations[op];
        if (setop === undefined || !["All", "Distinct", "None"].includes(quantifier))
          throw refused(`${op} ${quantifier}`, node);
        return {
          op: setop,
          all: quantifier === "All",
          larg: this.#body(body["left"]),
          rarg: this.#body(body["right"]),
        } as Select;
      }
      default:
        throw refused(`a query that is ${kind}`, node);
    }
  }

  #select(body: Syntax): Select {
    only(
      body,
      ["select_token", "distinct", "projection", "from", "selection", "group_by", "having", "named_window", "window_before_qualify", "flavor", "optimizer_hints", "select_modifiers"],
      "a SELECT",
    ); // prettier-ignore
    const terms = this.#terms;
    if (!isEmpty(body["distinct"]) && !["Distinct", "All"].includes(kindOf(body["distinct"])[0])) {
      throw refused("DISTINCT ON", body);
    }
    const fromClause = list(body["from"]).map((one) => this.#joined(one as Syntax));
    refuseTwice(fromClause);
    const [grouping, groups] = kindOf(body["group_by"]);
    const [expressions, modifiers] = list(groups);
    if (grouping !== "Expressions" || !isEmpty(modifiers)) {
      throw refused(
        "GROUP BY … WITH ROLLUP",
        body["group_by"],
        "one row adds to several groups: make each a model of its own",
      );
    }
    return {
      targetList: list(body["projection"]).map((one) => this.#target(one)),
      fromClause,
      groupClause: list(expressions).map((one) => this.#withoutQuery(one, "GROUP BY")),
      distinctClause: kindOf(body["distinct"])[0] === "Distinct" ? [{} as Node] : [],
      windowClause: list(body["named_window"]).map((one) => this.#named(one)),
      ...(isEmpty(body["selection"]) ? {} : { whereClause: terms.term(body["selection"]) }),
      ...(isEmpty(body["having"]) ? {} : { havingClause: this.#withoutQuery(body["having"], "HAVING") }),
    };
  }

  #named(window: unknown): Node {
    const [identifier, spec] = list(window);
    const [kind, body] = kindOf(spec);
    const name = fold(nameIn(identifier));
    const of = kind === "NamedWindow" ? { refname: fold(nameIn(body)) } : this.#terms.windowSpec(body);
    return { WindowDef: { ...of, name } };
  }

  #target(item: unknown): Node {
    const [kind, body] = kindOf(item);
    const star: Node = { A_Star: {} };
    switch (kind) {
      case "Wildcard":
        only(body, ["wildcard_token"], "*");
        return { ResTarget: { val: { ColumnRef: { fields: [star] } } } };
      case "QualifiedWildcard": {
        const [qualifier] = list(body);
        const [of, name] = kindOf(qualifier);
        if (of !== "ObjectName") throw refused("* of an expression", item);
        return { ResTarget: { val: { ColumnRef: { fields: [...strings(namesIn(name).map(fold)), star] } } } };
      }
      case "ExprWithAlias":
        return { ResTarget: { name: fold(nameIn(body["alias"])), val: this.#terms.term(body["expr"]) } };
      case "UnnamedExpr":
        return { ResTarget: { val: this.#terms.term(body) } };
      default:
        throw refused(`${kind} in a SELECT`, item);
    }
  }

  #joined(body: Syntax): Node {
    only(body, ["relation", "joins"], "FROM");
    let left = this.#factor(body["relation"]);
    for (const one of list(body["joins"])) {
      const join = one as Syntax;
      only(join, ["relation", "join_operator"], "a join");
      const rarg = this.#factor(join["relation"]);
      const [operator, constraint] = kindOf(join["join_operator"]);
      const jointype = JOINS[operator];
      if (jointype === undefined) throw refused(`the join ${operator}`, join);
      left = { JoinExpr: { jointype, larg: left, rarg, ...this.#constraint(constraint, jointype, join) } } as Node;
    }
    return left;
  }

  #constraint(constraint: unknown, jointype: string, join: Syntax): object {
    const [kind, body] = kindOf(constraint);
    if (kind === "On") return { quals: this.#terms.term(body) };
    if (kind !== "Using" && kind !== "Natural") return {};
    // In which order it has its columns depends on the version.
    if (jointype === "JOIN_RIGHT") throw refused("RIGHT JOIN by names", join, "write it as a LEFT JOIN");
    if (kind === "Natural") return { isNatural: true };
    return { usingClause: strings(list(body).map((name) => fold(namesIn(name)[0]!))) };
  }

  #factor(node: unknown): Node {
    const [kind, body] = kindOf(node);
    switch (kind) {
      case "Table": {
        only(body, ["name", "alias", "index_hints"], "FROM");
        const names = namesIn(body["name"]);
        const relname = names.at(-1)!;
        const schemaname = names.at(-2);
        const alias = isEmpty(body["alias"]) ? { name: fold(relname), columns: [] } : aliasOf(body["alias"]);
        const location = locationOf(body["name"]);
        const common = schemaname === undefined && this.#names.isCommon(relname, node);
        return {
          RangeVar: {
            relname: common ? fold(relname) : relname,
            ...(schemaname === undefined ? {} : { schemaname }),
            ...(location === undefined ? {} : { location }),
            alias: { aliasname: alias.name, colnames: strings(alias.columns) },
          },
        };
      }
      case "Derived": {
        only(body, ["lateral", "subquery", "alias"], "FROM");
        const { name, columns } = aliasOf(body["alias"]);
        const subquery: Node = { SelectStmt: this.query(body["subquery"] as Syntax) };
        const alias = { aliasname: name, colnames: strings(columns) };
        return { RangeSubselect: { lateral: body["lateral"] === true, subquery, alias } };
      }
      case "NestedJoin":
        only(body, ["table_with_joins"], "FROM");
        return this.#joined(body["table_with_joins"] as Syntax);
      default:
        throw refused(`${kind} in FROM`, node, "only tables, views and subqueries are followed");
    }
  }
}

const JOINS: Readonly<Record<string, string>> = {
  Join: "JOIN_INNER", Inner: "JOIN_INNER", CrossJoin: "JOIN_INNER", StraightJoin: "JOIN_INNER",
  Left: "JOIN_LEFT", LeftOuter: "JOIN_LEFT", Right: "JOIN_RIGHT", RightOuter: "JOIN_RIGHT",
}; // prettier-ignore

function aliasOf(alias: unknown): { readonly name: string; readonly columns: readonly string[] } {
  if (isEmpty(alias)) throw refused("a subquery in FROM without a name", alias);
  const { name, columns } = alias as Syntax;
  return { name: fold(nameIn(name)), columns: list(columns).map((one) => fold(nameIn((one as Syntax)["name"]))) };
}

/** Two tables of different databases may be called the same. */
function refuseTwice(from: readonly Node[]): void {
  const seen = new Set<string>();
  const note = (node: Node): void => {
    if ("JoinExpr" in node) {
      note(node.JoinExpr.larg!);
      note(node.JoinExpr.rarg!);
      return;
    }
    const item = "RangeVar" in node ? node.RangeVar : "RangeSubselect" in node ? node.RangeSubselect : null;
    const name = item?.alias?.aliasname;
    if (name === undefined) return;
    if (seen.has(name)) throw new NotLive(`two items of FROM that are called ${name}`, "give each a name of its own");
    seen.add(name);
  };
  for (const node of from) note(node);
}

/**
 * Without groups and aggregates HAVING is a condition on rows. That is not followed (it may name columns of the result); it stands where it
 * is looked through all the same.
 */
function withoutPlainHaving(select: Select): Select {
  const { havingClause, ...rest } = select;
  if (!havingClause || (select.groupClause?.length ?? 0) > 0) return select;
  let aggregated = false;
  walk([select.targetList, havingClause, select.sortClause], (kind, node) => {
    if (kind === "SubLink") return false;
    const [name] = kind === "FuncCall" && !node["over"] ? (node["funcname"] as { String: { sval?: string } }[]) : [];
    if (name && isAggregate(name.String.sval ?? "")) aggregated = true;
    return true;
  });
  return aggregated ? select : { ...rest, sortClause: [...(rest.sortClause ?? []), havingClause] };
}
