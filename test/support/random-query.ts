// Any SELECT over a few tables, from a list of numbers: the same list gives the same query, a smaller one a simpler query.
import type { Choices } from "./choices.ts";
import type { World } from "./live-tables.ts";

type Kind = "int" | "text" | "numeric";

interface Column {
  readonly sql: string;
  readonly kind: Kind;
  readonly of?: "table" | "view";
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

/** The same for MariaDB: keys and NULLs as there; texts that differ by case alone, which only one of the collations tells apart. */
export const MARIADB_WORLDS: readonly World[] = [
  { id: "int", a: "int", b: "bigint", s: "varchar(4) COLLATE utf8mb4_nopad_bin" },
  { id: "bigint", a: "int NOT NULL", b: "smallint", s: "varchar(4) COLLATE utf8mb4_general_ci" },
  { id: "int unsigned", a: "bigint", b: "int NOT NULL", s: "varchar(9) COLLATE utf8mb4_nopad_bin NOT NULL" },
].map(({ id, a, b, s }, i) => {
  const values = (type: string, ...texts: string[]) => (type.endsWith("NOT NULL") ? texts : [...texts, ...texts, null]);
  const columns = [
    { name: "id", type: `${id} PRIMARY KEY`, values: ["0", "1", "2", "3"] },
    { name: "a", type: a, values: values(a, "0", "1", "2", "3") },
    { name: "b", type: b, values: values(b, "1", "0", "2", "3") },
    { name: "s", type: s, values: values(s, "x", "y", "X") },
    { name: "n", type: "decimal(10, 2)", values: ["1.00", "2.00", "2.50", null] },
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

/** `mariadb`: in its dialect, with what it has. */
export function randomQuery(choices: Choices, mariadb = false): RandomQuery {
  const builder = new Builder(choices, mariadb);
  const width = 1 + Number(choices.oneIn(3));
  const sql = builder.query(width, 0, []);
  const key = width === 2 ? ["c0", "c1"] : choices.of([["c0"], ["c0"], ["c0", "s"], ["s"], ["c0", "v"]]);
  return { sql: `${builder.commons()}${sql}`, key };
}

class Builder {
  readonly #choices: Choices;
  readonly #mariadb: boolean;
  readonly #commons: string[] = [];
  #aliases = 0;

  constructor(choices: Choices, mariadb: boolean) {
    this.#choices = choices;
    this.#mariadb = mariadb;
  }

  commons(): string {
    return this.#commons.length === 0 ? "" : `WITH ${this.#commons.join(", ")} `;
  }

  #bigint(sql: string): string {
    return this.#mariadb ? `CAST(${sql} AS SIGNED)` : `(${sql})::bigint`;
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
    switch (
      c.of(["plain", "group", "plain", this.#mariadb ? "determined" : "distinct on", "window", "distinct", "group"])
    ) {
      case "group": {
        const by = [...new Set(key)];
        if (c.oneIn(3)) by.push(c.of(ints).sql);
        const list = [...key, this.#aggregate(columns, "int"), this.#aggregate(columns, "text")];
        const having = c.oneIn(3) ? ` HAVING ${c.of(["count(*) > 1", "count(*) = 1", "max(1) < count(*)"])}` : "";
        return `SELECT ${named(list)} ${from}${where} GROUP BY ${by.join(", ")}${having}`;
      }
      case "determined": {
        // Of a table that is grouped by its primary key, other columns may be named. Only a table is called x….id here.
        const table = columns.find(({ of }) => of === "table");
        const [of] = table?.sql.split(".") ?? [];
        const value = table ? `${of}.a` : this.#aggregate(columns, "int");
        const list = [...key, value, this.#aggregate(columns, "text")];
        const by = [...new Set([...(table ? [`${of}.id`] : []), ...key])];
        return `SELECT ${named(list)} ${from}${where} GROUP BY ${by.join(", ")}`;
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
          this.#bigint(`${call} OVER (PARTITION BY ${by} ORDER BY ${order(columns)})`),
          this.#text(columns),
        ];
        return `SELECT ${named(list)} ${from}${where}`;
      }
      default: {
        const extra = c.oneIn(3) && depth < 2 ? this.#scalar(columns, depth) : c.of(ints).sql;
        const first = c.oneIn(8) ? [`coalesce(${key[0]!}, ${c.of(ints).sql})`, ...key.slice(1)] : key;
        return `SELECT ${named([...first, this.#bigint(`(${extra})`), this.#text(columns)])} ${from}${where}`;
      }
    }
  }

  #text(columns: readonly Column[]): string {
    const { sql } = this.#choices.of(columns.filter(({ kind }) => kind === "text"));
    return this.#mariadb ? sql : `(${sql})::text`;
  }

  #aggregate(columns: readonly Column[], kind: "int" | "text"): string {
    const c = this.#choices;
    if (kind === "text") {
      const text = this.#text(columns);
      const all = this.#mariadb
        ? `GROUP_CONCAT(${text} ORDER BY BINARY ${text})`
        : `string_agg(${text}, ',' ORDER BY ${text})`;
      return c.oneIn(2) ? all : this.#mariadb ? `min(BINARY ${text})` : `min(${text})`;
    }
    const int = c.of(columns.filter((column) => column.kind === "int")).sql;
    const filtered = this.#mariadb ? `max(IF(${int} > 1, ${int}, NULL))` : `max(${int}) FILTER (WHERE ${int} > 1)`;
    return this.#bigint(c.of(["count(*)", `sum(${int})`, `count(DISTINCT ${int})`, filtered]));
  }

  #from(depth: number): { sql: string; columns: readonly Column[] } {
    const c = this.#choices;
    if (c.oneIn(5)) return this.#threeItems();
    const first = this.#item(depth);
    let { sql } = first;
    const columns = [...first.columns];
    const items = c.of([1, 2, 2, 3]);
    for (let i = 1; i < items; i += 1) {
      const lateral = c.oneIn(6) && depth < 2 && !this.#mariadb;
      const item = lateral ? this.#lateral(columns) : this.#item(depth);
      if (lateral) {
        sql = `${sql} ${c.of(["LEFT JOIN", "JOIN"])} ${item.sql} ON true`;
      } else {
        const join = c.of(["JOIN", "LEFT JOIN", "JOIN", "RIGHT JOIN", this.#full(), "LEFT JOIN", "CROSS JOIN"]);
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

  #full(): string {
    return this.#mariadb ? "LEFT JOIN" : "FULL JOIN";
  }

  #same(left: string, right: string): string {
    return this.#mariadb ? `(${left} <=> ${right})` : `${left} IS NOT DISTINCT FROM ${right}`;
  }

  /** Three tables, of which the third is linked to both others, or to one that may be missing. */
  #threeItems(): { sql: string; columns: readonly Column[] } {
    const c = this.#choices;
    const [x, y, z] = [this.#item(2), this.#item(2), this.#item(2)];
    const columns = [...x.columns, ...y.columns, ...z.columns];
    const second = c.of(["CROSS JOIN", "LEFT JOIN", this.#full(), "RIGHT JOIN"]);
    const on = second === "CROSS JOIN" ? "" : ` ON ${this.#equal(x.columns, y.columns, true)}`;
    const third = c.of(["LEFT JOIN", "JOIN", "RIGHT JOIN", this.#full()]);
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
      this.#same(one.sql, other),
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
      columns: COLUMNS.map(({ name: column, kind }) => ({
        sql: `${alias}.${column}`,
        kind,
        of: name.startsWith("t") ? "table" : "view",
      })),
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
      this.#mariadb ? `NOT (${x} <=> ${y})` : `${x} IS DISTINCT FROM ${y}`,
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
    if (this.#mariadb && outer.length > 0) {
      const { sql: from, columns } = this.#from(2);
      const { sql } = this.#choices.of(columns.filter(({ kind }) => kind === "int"));
      return `SELECT ${sql} ${from} WHERE ${this.#equal(outer, columns)}`;
    }
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
