// Any SELECT over a few tables, from a list of numbers: the same list gives the same query, a smaller one a simpler query.
import type { Choices } from "./choices.ts";
import type { World } from "./live-tables.ts";

type Kind = "int" | "text" | "numeric";

interface Column {
  readonly sql: string;
  readonly kind: Kind;
}

/** Tables with the same columns and other types, keys and NULLs; and views on them, and on views. */
export const WORLDS: readonly World[] = [
  { id: "int", a: "int", b: "bigint", s: "text" },
  { id: "bigint", a: "int NOT NULL", b: "smallint", s: "varchar(4)" },
  { id: "int", a: "bigint", b: "int NOT NULL", s: "text NOT NULL" },
].map(({ id, a, b, s }, i) => {
  const values = (type: string, ...texts: string[]) => (type.endsWith("NOT NULL") ? texts : [...texts, ...texts, null]);
  const columns = [
    { name: "id", type: `${id} PRIMARY KEY`, values: ["0", "1", "2", "3"] },
    { name: "a", type: a, values: values(a, "0", "1", "2", "3") },
    { name: "b", type: b, values: values(b, "1", "0", "2", "3") },
    { name: "s", type: s, values: values(s, "x", "y") },
    { name: "n", type: "numeric", values: ["1.0", "1.00", "2", null] },
  ];
  const views = `
    CREATE VIEW v0 AS SELECT * FROM t0 WHERE a IS NOT NULL;
    CREATE VIEW v1 AS SELECT x.id, x.a, y.b, y.s, y.n FROM t1 x LEFT JOIN v0 y ON y.id = x.b;
    CREATE VIEW v2 AS SELECT min(id) AS id, a, max(b) AS b, min(s) AS s, sum(n) AS n FROM t2 GROUP BY a;
    CREATE VIEW v3 AS SELECT * FROM v0 UNION ALL SELECT id + 10, a, b, s, n FROM t3;`;
  return { schema: `w${i}`, tables: ["t0", "t1", "t2", "t3"].map((name) => ({ name, columns })), views };
});

const COLUMNS: readonly { readonly name: string; readonly kind: Kind }[] = [
  { name: "id", kind: "int" },
  { name: "a", kind: "int" },
  { name: "b", kind: "int" },
  { name: "s", kind: "text" },
  { name: "n", kind: "numeric" },
];

export interface RandomQuery {
  readonly sql: string;
  readonly key: readonly string[];
}

export function randomQuery(choices: Choices): RandomQuery {
  const builder = new Builder(choices);
  const width = 1 + Number(choices.oneIn(3));
  const sql = builder.query(width, 0, []);
  const key = width === 2 ? ["c0", "c1"] : choices.of([["c0"], ["c0"], ["c0", "s"], ["s"], ["c0", "v"]]);
  return { sql: `${builder.commons()}${sql}`, key };
}

class Builder {
  readonly #choices: Choices;
  readonly #commons: string[] = [];
  #aliases = 0;

  constructor(choices: Choices) {
    this.#choices = choices;
  }

  commons(): string {
    return this.#commons.length === 0 ? "" : `WITH ${this.#commons.join(", ")} `;
  }

  #alias(): string {
    this.#aliases += 1;
    return `x${this.#aliases}`;
  }

  /** Columns c0 … of which the first `keys` are ints; then c-columns int, text up to four in all. */
  query(keys: number, depth: number, outer: readonly Column[]): string {
    const c = this.#choices;
    if (depth < 2 && c.oneIn(7)) {
      const operator = c.of(["UNION ALL", "UNION", "EXCEPT", "INTERSECT", "UNION ALL"]);
      return `${this.#block(keys, depth + 1, outer)} ${operator} ${this.#block(keys, depth + 1, outer)}`;
    }
    return this.#block(keys, depth, outer);
  }

  #block(keys: number, depth: number, outer: readonly Column[]): string {
    const c = this.#choices;
    const { sql: from, columns } = this.#from(depth);
    const where = this.#where(columns, depth, outer);
    const ints = columns.filter(({ kind }) => kind === "int");
    const key = Array.from({ length: keys }, (_, i) => (i === 0 && !c.oneIn(3) ? ints[0]! : c.of(ints)).sql);
    switch (c.of(["plain", "group", "plain", "distinct on", "window", "distinct", "group"])) {
      case "group": {
        const by = [...new Set(key)];
        if (c.oneIn(3)) by.push(c.of(ints).sql);
        const list = [...key, this.#aggregate(columns, "int"), this.#aggregate(columns, "text")];
        const having = c.oneIn(3) ? ` HAVING ${c.of(["count(*) > 1", "count(*) = 1", "max(1) < count(*)"])}` : "";
        return `SELECT ${named(list)} ${from}${where} GROUP BY ${by.join(", ")}${having}`;
      }
      case "distinct":
        return `SELECT DISTINCT ${named([...key, c.of(ints).sql, this.#text(columns)])} ${from}${where}`;
      case "distinct on": {
        const by = c.oneIn(3) ? c.of(ints).sql : key[0]!;
        const list = [...key, c.of(ints).sql, this.#text(columns)];
        return `SELECT DISTINCT ON (${by}) ${named(list)} ${from}${where} ORDER BY ${by}, ${order(columns)}`;
      }
      case "window": {
        const by = c.oneIn(2) ? c.of(columns).sql : key[0]!;
        const call = c.of(["row_number()", "count(*)", `sum(${c.of(ints).sql})`, `lag(${c.of(ints).sql})`]);
        const list = [
          ...key,
          `(${call} OVER (PARTITION BY ${by} ORDER BY ${order(columns)}))::bigint`,
          this.#text(columns),
        ];
        return `SELECT ${named(list)} ${from}${where}`;
      }
      default: {
        const extra = c.oneIn(3) && depth < 2 ? this.#scalar(columns, depth) : c.of(ints).sql;
        const first = c.oneIn(8) ? [`coalesce(${key[0]!}, ${c.of(ints).sql})`, ...key.slice(1)] : key;
        return `SELECT ${named([...first, `(${extra})::bigint`, this.#text(columns)])} ${from}${where}`;
      }
    }
  }

  #text(columns: readonly Column[]): string {
    return `(${this.#choices.of(columns.filter(({ kind }) => kind === "text")).sql})::text`;
  }

  #aggregate(columns: readonly Column[], kind: "int" | "text"): string {
    const c = this.#choices;
    if (kind === "text") {
      const text = this.#text(columns);
      return c.oneIn(2) ? `string_agg(${text}, ',' ORDER BY ${text})` : `min(${text})`;
    }
    const int = c.of(columns.filter((column) => column.kind === "int")).sql;
    return `(${c.of(["count(*)", `sum(${int})`, `count(DISTINCT ${int})`, `max(${int}) FILTER (WHERE ${int} > 1)`])})::bigint`;
  }

  #from(depth: number): { sql: string; columns: readonly Column[] } {
    const c = this.#choices;
    if (c.oneIn(5)) return this.#threeItems();
    const first = this.#item(depth);
    let { sql } = first;
    const columns = [...first.columns];
    const items = c.of([1, 2, 2, 3]);
    for (let i = 1; i < items; i += 1) {
      const lateral = c.oneIn(6) && depth < 2;
      const item = lateral ? this.#lateral(columns) : this.#item(depth);
      if (lateral) {
        sql = `${sql} ${c.of(["LEFT JOIN", "JOIN"])} ${item.sql} ON true`;
      } else {
        const join = c.of(["JOIN", "LEFT JOIN", "JOIN", "RIGHT JOIN", "FULL JOIN", "LEFT JOIN", "CROSS JOIN"]);
        const full = join === "FULL JOIN";
        const equal = this.#equal(columns, item.columns, full);
        const more = c.of(["", "", "", "equal", "predicate"]);
        const second =
          more === "equal" ? this.#equal(columns, item.columns, full) : this.#predicate([...columns, ...item.columns]);
        const on = more === "" || (full && more === "predicate") ? equal : `${equal} AND ${second}`;
        sql = `${sql} ${join} ${item.sql}${join === "CROSS JOIN" ? "" : ` ON ${on}`}`;
      }
      // The key is most often of what comes first.
      if (lateral && c.oneIn(2)) columns.unshift(...item.columns);
      else columns.push(...item.columns);
    }
    return { sql: `FROM ${sql}`, columns };
  }

  /** Three tables, of which the third is linked to both others, or to one that may be missing. */
  #threeItems(): { sql: string; columns: readonly Column[] } {
    const c = this.#choices;
    const [x, y, z] = [this.#item(2), this.#item(2), this.#item(2)];
    const columns = [...x.columns, ...y.columns, ...z.columns];
    const second = c.of(["CROSS JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN"]);
    const on = second === "CROSS JOIN" ? "" : ` ON ${this.#equal(x.columns, y.columns, true)}`;
    const third = c.of(["LEFT JOIN", "JOIN", "RIGHT JOIN", "FULL JOIN"]);
    const full = third === "FULL JOIN";
    const toY = this.#equal(y.columns, z.columns, full);
    const both = `${toY} AND ${this.#equal(x.columns, z.columns, full)}`;
    const [y1, z1] = [y, z].map((item) => c.of(item.columns.filter(({ kind }) => kind === "int")).sql);
    const maybe = full ? toY : `coalesce(${y1!}, ${c.upTo(3)}) = ${z1!}`;
    const link = c.of([both, toY, maybe]);
    return { sql: `FROM ${x.sql} ${second} ${y.sql}${on} ${third} ${z.sql} ON ${link}`, columns };
  }

  #equal(left: readonly Column[], right: readonly Column[], hashable = false): string {
    const c = this.#choices;
    const kind: Kind = c.oneIn(6) ? "text" : c.oneIn(8) ? "numeric" : "int";
    const of = (columns: readonly Column[]) => columns.filter((column) => column.kind === kind);
    const ours = of(left).length > 0 ? of(left) : left.filter((column) => column.kind === "int");
    const theirs =
      of(left).length > 0 && of(right).length > 0 ? of(right) : right.filter((column) => column.kind === "int");
    const one =
      ours[0]!.kind === theirs[0]!.kind ? c.of(ours) : left.find((column) => column.kind === theirs[0]!.kind)!;
    const other = c.of(theirs).sql;
    if (hashable || one.kind !== "int") return `${one.sql} = ${other}`;
    return c.of([
      `${one.sql} = ${other}`,
      `${one.sql} = ${other}`,
      `${one.sql} = ${other}`,
      `coalesce(${one.sql}, 1) = ${other}`,
      `${one.sql} = ${other}`,
      `${one.sql} = coalesce(${other}, 2)`,
      `${one.sql} IS NOT DISTINCT FROM ${other}`,
    ]);
  }

  #item(depth: number): { sql: string; columns: readonly Column[] } {
    const c = this.#choices;
    const alias = this.#alias();
    const derived = depth < 2 && c.oneIn(5);
    if (derived) {
      const sql = this.query(1, depth + 1, []);
      if (c.oneIn(3)) {
        const name = `w${this.#commons.length}`;
        this.#commons.push(`${name} AS (${sql})`);
        return { sql: `${name} AS ${alias}`, columns: ofDerived(alias) };
      }
      return { sql: `(${sql}) AS ${alias}`, columns: ofDerived(alias) };
    }
    if (this.#commons.length > 0 && c.oneIn(4)) {
      return { sql: `w${c.upTo(this.#commons.length)} AS ${alias}`, columns: ofDerived(alias) };
    }
    const name = c.of(["t0", "t1", "t2", "t3", "t0", "t1", "v0", "v1", "v2", "v3"]);
    return {
      sql: `${name} AS ${alias}`,
      columns: COLUMNS.map(({ name: column, kind }) => ({ sql: `${alias}.${column}`, kind })),
    };
  }

  #lateral(columns: readonly Column[]): { sql: string; columns: readonly Column[] } {
    const c = this.#choices;
    const alias = this.#alias();
    const { sql: from, columns: inner } = this.#from(2);
    const where = `WHERE ${this.#equal(columns, inner)}${c.oneIn(3) ? ` AND ${this.#predicate(inner)}` : ""}`;
    const ints = inner.filter(({ kind }) => kind === "int");
    const list = c.oneIn(3)
      ? [`max(${c.of(ints).sql})`, this.#aggregate(inner, "int"), this.#aggregate(inner, "text")]
      : [c.of(ints).sql, `(${c.of(ints).sql})::bigint`, this.#text(inner)];
    const limited = list[0]!.startsWith("max")
      ? ""
      : c.of(["", ` ORDER BY ${order(inner)} LIMIT 1`, ` ORDER BY ${order(inner)} LIMIT 2 OFFSET 1`]);
    return { sql: `LATERAL (SELECT ${named(list)} ${from} ${where}${limited}) AS ${alias}`, columns: ofDerived(alias) };
  }

  #where(columns: readonly Column[], depth: number, outer: readonly Column[]): string {
    const c = this.#choices;
    const all: string[] = [];
    if (outer.length > 0) all.push(this.#equal(outer, columns));
    if (outer.length > 0 && c.oneIn(2)) all.push(this.#equal(outer, columns));
    const count = c.of([0, 1, 0, 2]);
    for (let i = 0; i < count; i += 1) {
      all.push(c.oneIn(2) && depth < 2 ? this.#subquery(columns, depth) : this.#predicate(columns));
    }
    return all.length === 0 ? "" : ` WHERE ${all.join(" AND ")}`;
  }

  #predicate(columns: readonly Column[]): string {
    const c = this.#choices;
    const ints = columns.filter(({ kind }) => kind === "int");
    const [x, y] = [c.of(ints).sql, c.of(ints).sql];
    return c.of([
      `${x} IS NOT NULL`,
      `${x} > ${c.upTo(4)}`,
      `${x} = ${y}`,
      `${x} IS NULL`,
      `coalesce(${x}, ${c.upTo(3)}) = ${y}`,
      `(${x} = ${c.upTo(4)} OR ${y} IS NULL)`,
      `${x} IS DISTINCT FROM ${y}`,
      `${x} BETWEEN 1 AND 3`,
      `(${x} <> ${y}) IS NOT TRUE`,
    ]);
  }

  #subquery(columns: readonly Column[], depth: number): string {
    const c = this.#choices;
    const int = c.of(columns.filter(({ kind }) => kind === "int")).sql;
    const test = c.of(["EXISTS", "NOT EXISTS", "IN", "NOT IN", "scalar", "<> ALL", ">= ANY", "OR"]);
    switch (test) {
      case "EXISTS":
      case "NOT EXISTS":
        return `${test} (${this.query(1, depth + 1, columns)})`;
      case "scalar":
        return `${int} >= (${this.#scalar(columns, depth)})`;
      case "OR":
        return `(${this.#predicate(columns)} OR EXISTS (${this.query(1, depth + 1, columns)}))`;
      default:
        return `${int} ${test} (${this.#oneColumn(depth, c.oneIn(2) ? columns : [])})`;
    }
  }

  #oneColumn(depth: number, outer: readonly Column[]): string {
    const alias = this.#alias();
    const column = this.#choices.of(["c0", "v", "v"]);
    return `SELECT ${alias}.${column} FROM (${this.query(1, depth + 1, outer)}) AS ${alias}`;
  }

  #scalar(columns: readonly Column[], depth: number): string {
    const { sql: from, columns: inner } = this.#from(Math.max(depth, 1));
    const value = this.#aggregate(inner, "int");
    return `SELECT ${value} ${from} WHERE ${this.#equal(columns, inner)}`;
  }
}

function named(list: readonly string[]): string {
  return list.map((sql, i) => `${sql} AS ${NAMES[list.length]![i]!}`).join(", ");
}

// The keys come first; what else there is has the same names in any query.
const NAMES: Readonly<Record<number, readonly string[]>> = { 3: ["c0", "v", "s"], 4: ["c0", "c1", "v", "s"] };

function ofDerived(alias: string): readonly Column[] {
  return [
    { sql: `${alias}.c0`, kind: "int" },
    { sql: `${alias}.v`, kind: "int" },
    { sql: `${alias}.s`, kind: "text" },
  ];
}

/** An order without ties, whatever there is. */
function order(columns: readonly Column[]): string {
  return columns.map(({ sql }) => sql).join(", ");
}
