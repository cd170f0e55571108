// From a parsed query to its graph: every block is gone through once for its own rows, and once more for each thing in it that
// lets a row depend on others (a window's partition, DISTINCT ON's group, what a LIMIT chooses from).
import { type Node, type Select, conjuncts, names, walk } from "./tree.ts";
import type { BaseTable, QueryCatalog } from "./catalog.ts";
import { flattenFrom } from "./from.ts";
import { type Container, type Expression, type Link, type TableReference } from "./graph.ts";
import { type Common, type Surroundings, limits, partitions, target, withCommons } from "./clauses.ts";
import { NotLive } from "./reasons.ts";
import { type Column, EMPTY, type Functions, type Level, type Scope, aggregates, beside, resolve } from "./scope.ts";
import { inLink, namesOfTests } from "./sublink.ts";
import { determined, groupsOf } from "./groups.ts";
import { commonClass, textClass } from "./text-class.ts";

export interface Output {
  readonly columns: readonly Column[];
  /** There may be more columns, of which we do not know. */
  readonly open: boolean;
}

/** A view's definition, parsed and screened. */
export interface View {
  readonly select: Select;
  readonly columns: readonly string[];
}

export interface Known {
  readonly catalog: QueryCatalog;
  /** Of the model and of the views that were loaded. */
  readonly functions: Functions;
  /** A column that is neither grouped nor determined by what is may be that of any row of the group. Else, there is none. */
  readonly looseGroups: boolean;
  /** How the database calls a column of a result that has no AS; null: we do not know. */
  resultName(expression: Node): string | null;
  view(sql: string, definition: string, columns: readonly string[], surroundings: Surroundings): Promise<View>;
}

/** How far a block's own clauses are followed. */
const ROWS = 0;
const WINDOWS = 1;
const DISTINCT_ON = 2;
const ALL = 3;

/** More references than that come from windows within windows. */
const MOST_REFERENCES = 200;

export class Flattening {
  readonly references: TableReference[] = [];
  readonly links: Link[] = [];
  readonly merged: (readonly Expression[])[] = [];
  readonly known: Known;
  /** The branch of each UNION, EXCEPT or INTERSECT, in the order of meeting them; grows by those that are met anew. */
  readonly choices: number[];
  /** WITH queries that are being gone through. */
  readonly #active: Set<Common>;
  #chosen = 0;
  #depth: number;

  /** `within`: of which it looks at a part aside. */
  constructor(known: Known, choices: readonly number[], within: Flattening | null = null) {
    this.known = known;
    this.#active = within ? within.#active : new Set();
    this.#depth = within ? within.#depth : 0;
    this.choices = [...choices];
  }

  addReference(
    table: BaseTable,
    home: Container | null,
    path: readonly string[],
    place: string | null,
  ): TableReference {
    if (this.references.length >= MOST_REFERENCES) {
      throw new NotLive(`more than ${MOST_REFERENCES} references to tables`, "split the model", place);
    }
    const reference = { alias: `r${this.references.length + 1}`, table, home, path: path.join(" > "), place };
    this.references.push(reference);
    return reference;
  }

  addLink(expression: Expression | null, home: Link["home"], same: Link["same"] = null): void {
    if (expression && expression.references.size > 0) this.links.push({ expression, home, same });
  }

  resolve(expression: Node, scope: Scope | null): Expression | null {
    return resolve(expression, scope, this.known.functions);
  }

  async select(select: Select, around: Surroundings, home: Container | null, stage = ALL): Promise<Output> {
    this.#depth += 1;
    if (this.#depth > 100) throw new NotLive("queries nested more than 100 deep", "split the model");
    try {
      return await this.#select(select, withCommons(select, around), home, stage);
    } finally {
      this.#depth -= 1;
    }
  }

  /** A WITH query where it is named: once more for each of its names. */
  async common(common: Common, name: string, place: string | null, home: Container | null): Promise<Output> {
    if (this.#active.has(common)) {
      throw new NotLive(`the recursive query ${name}`, "how far it reaches cannot be told from a change", place);
    }
    this.#active.add(common);
    try {
      return await this.select(common.query, common.surroundings, home);
    } finally {
      this.#active.delete(common);
    }
  }

  async #select(select: Select, around: Surroundings, home: Container | null, stage: number): Promise<Output> {
    if (stage === ALL && (limits(select.limitCount) || limits(select.limitOffset))) {
      await this.#select(select, around, { parent: home, kind: "LIMIT", inner: false }, DISTINCT_ON);
      await this.expressions([select.limitCount, select.limitOffset], around, home);
    }
    if (select.valuesLists) {
      await this.expressions(select.valuesLists, around, home);
      const [first] = select.valuesLists;
      const width = first && "List" in first ? (first.List.items?.length ?? 0) : 0;
      return {
        columns: Array.from({ length: width }, (_, i) => ({ name: `column${i + 1}`, value: null })),
        open: false,
      };
    }
    if (select.larg && select.rarg) return this.#branch(select, select.larg, select.rarg, around, home);
    const { output } = await this.#block(select, around, home, stage);
    return output;
  }

  async #branch(
    select: Select,
    left: Select,
    right: Select,
    around: Surroundings,
    home: Container | null,
  ): Promise<Output> {
    if (this.#chosen === this.choices.length) this.choices.push(0);
    const first = this.choices[this.#chosen] === 0;
    this.#chosen += 1;
    const output = await this.select(first ? left : right, around, home);
    const other = await new Flattening(this.known, [], this).select(first ? right : left, around, null);
    if (output.open || other.open) return { columns: [], open: true };
    const whole = select.op === "SETOP_UNION" && select.all === true;
    const columns = output.columns.map(({ name, value }, i): Column => {
      const theirs = other.columns[i];
      const known = value && theirs?.value && this.#alike(value, theirs.value, whole);
      return { name: first ? name : (theirs?.name ?? null), value: known ? value : null };
    });
    return { columns, open: false };
  }

  /** Whether equal values of two branches have the same text; of a UNION ALL, whether that is as unknown for the one as for the other. */
  #alike(one: Expression, other: Expression, whole: boolean): boolean {
    const { functions } = this.known;
    const classes = [textClass(one, functions), textClass(other, functions)];
    return commonClass(classes) !== null || (whole && classes.every((known) => known === null));
  }

  /** Of rows that are equal one stands for all: where that says nothing of the texts, we do not know them. */
  #comparable(columns: readonly Column[]): readonly Column[] {
    return columns.map((column) =>
      column.value !== null && textClass(column.value, this.known.functions) === null
        ? { ...column, value: null }
        : column,
    );
  }

  async #block(
    select: Select,
    around: Surroundings,
    outside: Container | null,
    stage: number,
  ): Promise<{ readonly output: Output; readonly scope: Scope }> {
    const { functions } = this.known;
    const targets = (select.targetList ?? []).flatMap((target) => ("ResTarget" in target ? [target.ResTarget] : []));
    const grouped = (select.groupClause?.length ?? 0) > 0;
    const aggregated =
      aggregates([select.targetList, select.havingClause, select.sortClause], functions) || !!select.havingClause;
    const home: Container | null =
      aggregated && !grouped ? { parent: outside, kind: "aggregate", inner: false } : outside;
    const before = new Set(this.references);
    let level: Level = EMPTY;
    for (const item of select.fromClause ?? [])
      level = beside(level, await flattenFrom(this, item, around, level, home));
    const scope: Scope = { level, parent: around.scope };
    const inside: Surroundings = { ...around, scope };
    const groups =
      this.known.looseGroups && (grouped || aggregated) ? groupsOf(select, level, targets, this.known) : null;

    await this.condition(select.whereClause, inside, home, () => home);
    await this.condition(select.havingClause, inside, home, null);
    await this.expressions(
      [select.targetList, select.groupClause, select.sortClause, select.windowClause, select.distinctClause],
      inside,
      home,
    );

    if (stage >= WINDOWS) {
      for (const partition of partitions(select)) {
        // What of a group stands for it is not known.
        const by = groups ? [] : partition;
        await this.#dependOnOthers({ select, around, home, stage: ROWS, kind: "window", by, scope });
      }
    }
    const distinct = (select.distinctClause ?? []).filter((one) => Object.keys(one).length > 0);
    if (stage >= DISTINCT_ON && distinct.length > 0) {
      const by = distinct.map((one) => target(one, targets, (val) => this.known.resultName(val)) ?? one);
      await this.#dependOnOthers({ select, around, home, stage: WINDOWS, kind: "DISTINCT ON", by, scope });
    }

    const columns: Column[] = [];
    let open = false;
    for (const { name, val } of targets) {
      const fields = val && "ColumnRef" in val ? names(val.ColumnRef.fields) : [];
      const indirection = val && "A_Indirection" in val ? names(val.A_Indirection.indirection) : [];
      if (indirection.at(-1) === null) {
        open = true;
      } else if (val && fields.at(-1) === null) {
        const items = fields.length === 1 ? level.items : level.items.filter(({ alias }) => alias === fields.at(-2));
        const seen = fields.length === 1 ? level.columns : items.flatMap((item) => item.columns);
        const known = ({ value }: Column) => value !== null && (groups === null || determined(value, groups, before));
        columns.push(...seen.map((column) => (known(column) ? column : { ...column, value: null })));
        if (items.length === 0 || items.some((item) => item.open)) open = true;
      } else if (val) {
        const value = this.resolve(val, scope);
        const known = value && (groups === null || determined(value, groups, before));
        columns.push({ name: name ?? this.known.resultName(val), value: known ? value : null });
      }
    }
    const equalsStandForOne = grouped || (select.distinctClause?.length ?? 0) > distinct.length;
    return { output: { columns: equalsStandForOne ? this.#comparable(columns) : columns, open }, scope };
  }

  /** The block's rows once more, as those that its rows depend on: all that are the same in `by`. */
  async #dependOnOthers(of: {
    readonly select: Select;
    readonly around: Surroundings;
    readonly home: Container | null;
    readonly stage: number;
    readonly kind: "window" | "DISTINCT ON";
    readonly by: readonly Node[];
    readonly scope: Scope;
  }): Promise<void> {
    const container: Container = { parent: of.home, kind: of.kind, inner: false };
    const others = await this.#block(of.select, of.around, container, of.stage);
    for (const expression of of.by) {
      const left = this.resolve(expression, others.scope);
      const right = this.resolve(expression, of.scope);
      if (!left || !right) continue;
      const node = {
        A_Expr: { kind: "AEXPR_NOT_DISTINCT", name: [{ String: { sval: "=" } }], lexpr: left.node, rexpr: right.node },
      } as Node;
      const references = new Set([...left.references, ...right.references]);
      this.addLink({ node, references }, () => container, { left, right });
    }
  }

  /** Subqueries of a condition, and, unless `holds` is null, what it links. */
  async condition(
    condition: Node | undefined,
    inside: Surroundings,
    home: Container | null,
    holds: Link["home"] | null,
  ): Promise<void> {
    for (const one of conjuncts(condition)) {
      if ("SubLink" in one) {
        await this.#subquery(one, inside, home, true);
      } else {
        if (holds) this.addLink(this.resolve(one, inside.scope), holds);
        await this.expressions(one, inside, home);
      }
    }
  }

  /** The subqueries in expressions. */
  async expressions(expressions: unknown, inside: Surroundings, home: Container | null): Promise<void> {
    const found: Node[] = [];
    walk(expressions, (kind, node) => {
      if (kind !== "SubLink") return true;
      found.push({ SubLink: node });
      return false;
    });
    for (const one of found) await this.#subquery(one, inside, home, false);
  }

  async #subquery(node: Node, inside: Surroundings, home: Container | null, positive: boolean): Promise<void> {
    if (!("SubLink" in node)) return;
    const { subLinkType, subselect, testexpr, operName } = node.SubLink;
    if (!subselect || !("SelectStmt" in subselect)) return;
    const container: Container = { parent: home, kind: "subquery", inner: false };
    const output = await this.select(subselect.SelectStmt, inside, container);
    if (!testexpr) return;
    await this.expressions(testexpr, inside, home);
    if (output.open) return;
    for (const [place, test] of namesOfTests(testexpr).entries()) {
      const outer = this.resolve(test, inside.scope);
      const inner = output.columns[place]?.value ?? null;
      if (!outer || !inner) continue;
      const kind = subLinkType === "ALL_SUBLINK" ? "ALL" : "ANY";
      this.addLink(inLink({ outer, inner, operator: operName, kind, positive, home, container }), () => container);
    }
  }
}
