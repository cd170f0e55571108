// What an item of FROM adds: its columns, references and join conditions.
import { type Node, type Of, binary, conjuncts, names } from "./tree.ts";
import type { Surroundings } from "./clauses.ts";
import type { Flattening, Output } from "./flatten.ts";
import { type Container, EQUAL, type Expression, encloses, equality, mergedColumns } from "./graph.ts";
import { NotLive } from "./reasons.ts";
import { type Column, type Item, type Level, type Scope, baseColumn, beside, functionKey, levelOf } from "./scope.ts";
import { sameTexts } from "./text-class.ts";

/** `before`: the items of this FROM that stand before it, which LATERAL may name. */
export async function flattenFrom(
  into: Flattening,
  node: Node,
  around: Surroundings,
  before: Level,
  home: Container | null,
): Promise<Level> {
  if ("RangeVar" in node) return levelOf(await flattenName(into, node.RangeVar, around, home));
  if ("RangeSubselect" in node) {
    const { lateral, subquery, alias } = node.RangeSubselect;
    if (!subquery || !("SelectStmt" in subquery))
      throw new NotLive("a subquery in FROM that is no SELECT", "rewrite it");
    const scope: Scope | null = lateral ? { level: before, parent: around.scope } : around.scope;
    const path = alias?.aliasname ? [...around.path, alias.aliasname] : around.path;
    const output = await into.select(subquery.SelectStmt, { ...around, scope, path }, home);
    return levelOf(derived(output, alias?.aliasname ?? null, names(alias?.colnames)));
  }
  // That it is refused is said elsewhere.
  if ("RangeTableSample" in node && node.RangeTableSample.relation) {
    return flattenFrom(into, node.RangeTableSample.relation, around, before, home);
  }
  if ("JoinExpr" in node) return flattenJoin(into, node.JoinExpr, around, before, home);
  const inside: Surroundings = { ...around, scope: { level: before, parent: around.scope } };
  await into.expressions(node, inside, home);
  return levelOf(computed(into, node));
}

async function flattenName(
  into: Flattening,
  node: Of<"RangeVar">,
  around: Surroundings,
  home: Container | null,
): Promise<Item> {
  const name = node.relname ?? "";
  const alias = node.alias?.aliasname ?? name;
  const given = names(node.alias?.colnames);
  const place = around.place(node.location);
  const common = node.schemaname === undefined ? around.commons.get(name) : undefined;
  if (common) {
    const output = await into.common(common, name, place, home);
    return derived(derived(output, null, common.columns), alias, given);
  }
  const relation = await into.known.catalog.relation(node.schemaname ?? null, name, node.inh ?? false);
  if (!relation) throw new NotLive(`${name}, which is not there`, "name a table or a view", place);
  if (relation.kind === "other") throw new NotLive(`${relation.sql}, ${relation.what}`, relation.advice, place);
  const path = [...around.path, alias];
  if (relation.kind === "view") {
    const inside: Surroundings = { scope: null, commons: new Map(), path, place: () => place };
    const view = await into.known.view(relation.sql, relation.definition, relation.columns, inside);
    const output = await into.select(view.select, inside, home);
    return derived(derived(output, null, view.columns), alias, given);
  }
  const { table } = relation;
  const reference = into.addReference(table, home, path, place);
  const columns = table.columns.map(({ name: column }, i) => ({
    name: given[i] ?? column,
    value: baseColumn(reference, column),
  }));
  return { alias, columns, open: false, reference };
}

function derived(output: Output, alias: string | null, given: readonly (string | null)[]): Item {
  const columns = output.columns.map((column, i) => ({ ...column, name: given[i] ?? column.name }));
  return { alias, columns, open: output.open, reference: null };
}

/** A function in FROM, or the like: rows of their own making. */
function computed(into: Flattening, node: Node): Item {
  if (!("RangeFunction" in node)) {
    if (!("RangeTableFunc" in node || "JsonTable" in node)) {
      throw new NotLive("an item of FROM that is not known", "rewrite it");
    }
    const alias = "RangeTableFunc" in node ? node.RangeTableFunc.alias : node.JsonTable.alias;
    return { alias: alias?.aliasname ?? null, columns: [], open: true, reference: null };
  }
  const { alias, functions, coldeflist, ordinality } = node.RangeFunction;
  const called = (functions ?? []).flatMap((list) => ("List" in list ? (list.List.items ?? []).slice(0, 1) : [list]));
  const calls = called.flatMap((call) => ("FuncCall" in call ? [call.FuncCall] : []));
  const scalar = calls.every((call) => {
    const known = into.known.functions.get(functionKey(call.funcname)) ?? [];
    return known.length > 0 && known.every((one) => one.scalar);
  });
  const name = alias?.aliasname ?? names(calls[0]?.funcname).at(-1) ?? null;
  const given = names(alias?.colnames);
  const defined = (coldeflist ?? []).map((one) => ("ColumnDef" in one ? (one.ColumnDef.colname ?? null) : null));
  const own = calls.length === 1 ? [name] : calls.map((call) => names(call.funcname).at(-1) ?? null);
  const columns = defined.length > 0 ? defined : scalar && calls.length === called.length ? own : [];
  const all = ordinality ? [...columns, "ordinality"] : columns;
  const width = Math.max(all.length, given.length);
  return {
    alias: name,
    columns: Array.from({ length: width }, (_, i) => ({ name: given[i] ?? all[i] ?? null, value: null })),
    open: columns.length === 0,
    reference: null,
  };
}

async function flattenJoin(
  into: Flattening,
  join: Of<"JoinExpr">,
  around: Surroundings,
  before: Level,
  home: Container | null,
): Promise<Level> {
  const { jointype, larg, rarg, quals, usingClause, isNatural, alias, join_using_alias } = join;
  if (!larg || !rarg) throw new NotLive("a join without two sides", "rewrite it");
  const optional = (yes: boolean): Container | null => (yes ? { parent: home, kind: "join", inner: false } : home);
  const leftHome = optional(jointype === "JOIN_RIGHT" || jointype === "JOIN_FULL");
  const rightHome = optional(jointype === "JOIN_LEFT" || jointype === "JOIN_FULL");
  const left = await flattenFrom(into, larg, around, before, leftHome);
  const right = await flattenFrom(into, rarg, around, beside(before, left), rightHome);
  // A condition binds the rows that may be missing; of a FULL JOIN none, as long as both may be.
  const holds = (): Container | null | undefined => {
    if (jointype !== "JOIN_FULL") return jointype === "JOIN_RIGHT" ? leftHome : rightHome;
    if (leftHome?.inner && rightHome?.inner) return home;
    return leftHome?.inner ? rightHome : rightHome?.inner ? leftHome : undefined;
  };
  const both = beside(left, right);
  const scope: Scope = { level: both, parent: around.scope };
  await into.condition(quals, { ...around, scope }, home, holds);

  const shared = isNatural
    ? left.columns.flatMap(({ name }) =>
        name !== null && right.columns.some((column) => column.name === name) ? [name] : [],
      )
    : names(usingClause).filter((name) => name !== null);
  const merged: Column[] = [];
  for (const name of shared) {
    const ours = left.columns.find((column) => column.name === name)?.value ?? null;
    const theirs = right.columns.find((column) => column.name === name)?.value ?? null;
    if (ours && theirs) into.addLink(equality(ours, theirs), holds);
    merged.push({ name, value: mergedValue(jointype, ours, theirs) });
  }
  if (jointype === "JOIN_FULL") {
    const pairs = [...equalities(into, quals, scope), ...sharedColumns(shared, left, right)];
    for (const pair of pairs) noteMerged(into, pair, leftHome, rightHome);
  }

  const rest = (level: Level) => level.columns.filter(({ name }) => name === null || !shared.includes(name));
  const columns = [...merged, ...rest(left), ...rest(right)];
  const items = [...both.items];
  if (join_using_alias?.aliasname) {
    items.push({ alias: join_using_alias.aliasname, columns: merged, open: false, reference: null });
  }
  if (!alias?.aliasname) return { items, columns };
  const given = names(alias.colnames);
  const named = columns.map((column, i) => ({ ...column, name: given[i] ?? column.name }));
  const open = both.items.some((item) => item.open);
  return levelOf({ alias: alias.aliasname, columns: named, open, reference: null });
}

type Pair = readonly [Expression, Expression];

function equalities(into: Flattening, quals: Node | undefined, scope: Scope): readonly Pair[] {
  return conjuncts(quals).flatMap((one): Pair[] => {
    const operands = binary(one, EQUAL);
    const left = operands && into.resolve(operands.left, scope);
    const right = operands && into.resolve(operands.right, scope);
    return left && right ? [[left, right]] : [];
  });
}

function sharedColumns(shared: readonly string[], left: Level, right: Level): readonly Pair[] {
  const find = ({ columns }: Level, name: string) => columns.find((column) => column.name === name)?.value;
  return shared.flatMap((name): Pair[] => {
    const ours = find(left, name);
    const theirs = find(right, name);
    return ours && theirs ? [[ours, theirs]] : [];
  });
}

/** Notes what a FULL JOIN makes equal, if it is a column, or what another FULL JOIN has made of some, on either side. */
function noteMerged(into: Flattening, pair: Pair, leftHome: Container | null, rightHome: Container | null): void {
  for (const [one, other] of [pair, [pair[1], pair[0]] as const]) {
    const left = mergedColumns(one, into.merged);
    const right = mergedColumns(other, into.merged);
    if (!left || !right) continue;
    if (!left.every((part) => within(part, leftHome)) || !right.every((part) => within(part, rightHome))) continue;
    if (sameTexts(left[0]!, right[0]!, into.known.functions)) into.merged.push([...left, ...right]);
  }
}

function within({ references }: Expression, home: Container | null): boolean {
  return [...references].every((reference) => encloses(home, reference.home));
}

function mergedValue(
  jointype: string | undefined,
  left: Expression | null,
  right: Expression | null,
): Expression | null {
  if (jointype === "JOIN_RIGHT") return right;
  if (jointype !== "JOIN_FULL") return left;
  if (!left || !right) return null;
  return {
    node: { CoalesceExpr: { args: [left.node, right.node] } } as Node,
    references: new Set([...left.references, ...right.references]),
  };
}
