// Tables that a test writes to, with each row before and after, as a log tells it.
import type { Change } from "../../src/contracts/change.ts";
import type { Relation } from "../../src/contracts/relation.ts";
import type { Choices } from "./choices.ts";

export interface TableSpec {
  readonly name: string;
  /** The first is the primary key. */
  readonly columns: readonly {
    readonly name: string;
    readonly type: string;
    readonly values: readonly (string | null)[];
  }[];
}

/** Some tables and views, in a schema of their own. */
export interface World {
  readonly schema: string;
  readonly tables: readonly TableSpec[];
  readonly views: string;
}

export function ddl({ schema, tables, views }: World): string {
  const created = tables.map(({ name, columns }) => {
    const list = columns.map((column) => `${column.name} ${column.type}`).join(", ");
    return `CREATE TABLE ${name} (${list}); ALTER TABLE ${name} REPLICA IDENTITY FULL;`;
  });
  return `CREATE SCHEMA ${schema}; SET search_path = ${schema}; ${created.join(" ")} ${views} SET search_path = pg_catalog`;
}

export type Row = readonly (string | null)[];

/** A session of a database, as these tables are written in it. */
export interface TableWriter {
  /** `$1` …: values. The rows of the result, as texts. */
  run(text: string, values?: Row): Promise<readonly Row[]>;
  /** See Relation.id. */
  idOf(schema: string, table: string): Promise<string>;
}

export class LiveTables {
  readonly #writer: TableWriter;
  readonly #world: World;
  readonly #rows = new Map<string, Map<string, Row>>();
  readonly #relations = new Map<string, Relation>();
  #written: readonly TableSpec[];
  #transactions = 0;

  private constructor(writer: TableWriter, world: World) {
    this.#writer = writer;
    this.#world = world;
    this.#written = world.tables;
  }

  static async empty(writer: TableWriter, world: World): Promise<LiveTables> {
    const tables = new LiveTables(writer, world);
    for (const { name, columns: specs } of world.tables) {
      await writer.run(`DELETE FROM ${world.schema}.${name}`);
      tables.#rows.set(name, new Map());
      const id = await writer.idOf(world.schema, name);
      const columns = specs.map(
        (spec) => ({ name: spec.name, type: spec.type, json: "string", comparison: "text", nullable: true }) as const,
      );
      tables.#relations.set(name, {
        id,
        namespace: world.schema,
        name,
        version: 1,
        columns,
        key: [0],
        oldRows: "full",
      });
    }
    return tables;
  }

  /** Writes only to tables with these ids from now on. */
  writeTo(relations: ReadonlySet<string>): void {
    this.#written = this.#world.tables.filter(({ name }) => relations.has(this.#relations.get(name)!.id));
  }

  /** Some inserts, updates and deletes in one transaction. */
  async transact(choices: Choices, operations: number): Promise<readonly Change[]> {
    const changes: Change[] = [];
    this.#transactions += 1;
    await this.#writer.run("BEGIN");
    for (let i = 0; i < operations; i += 1) {
      const change = await this.#operate(choices);
      if (change) changes.push(change);
    }
    await this.#writer.run("COMMIT");
    return changes;
  }

  async #operate(choices: Choices): Promise<Change | null> {
    const { name, columns } = choices.of(this.#written);
    const rows = this.#rows.get(name)!;
    const table = `${this.#world.schema}.${name}`;
    const [key, ...others] = columns;
    const id = choices.of(key!.values)!;
    const before = rows.get(id) ?? null;
    let after: Row | null = null;
    if (!before) {
      const places = columns.map((_, i) => `$${i + 1}`).join(", ");
      const values = others.map((column) => choices.of(column.values));
      after = await this.#rowAfter(table, key!.name, id, `INSERT INTO ${table} VALUES (${places})`, [id, ...values]);
    } else {
      const kind = choices.of(["one", "delete", "all", "key", "one"] as const);
      const set = kind === "all" ? others : kind === "one" ? [choices.of(others)] : kind === "key" ? [key!] : [];
      const values = set.map((column) => choices.of(column.values));
      if (kind === "key" && rows.has(values[0]!)) return null;
      if (kind === "delete") {
        await this.#writer.run(`DELETE FROM ${table} WHERE ${key!.name} = $1`, [id]);
      } else {
        const list = set.map((column, i) => `${column.name} = $${i + 2}`).join(", ");
        const to = kind === "key" ? values[0]! : id;
        const text = `UPDATE ${table} SET ${list} WHERE ${key!.name} = $1`;
        after = await this.#rowAfter(table, key!.name, to, text, [id, ...values]);
      }
    }
    if (before) rows.delete(id);
    if (after) rows.set(after[0]!, after);
    return {
      op: before && after ? "update" : after ? "insert" : "delete",
      relation: this.#relations.get(name)!,
      before,
      after,
      position: "0",
      transaction: { id: String(this.#transactions), committedAt: 0n },
    };
  }

  /** The row of an id, after a statement. */
  async #rowAfter(table: string, key: string, id: string, text: string, values: Row): Promise<Row> {
    await this.#writer.run(text, values);
    const [row] = await this.#writer.run(`SELECT * FROM ${table} WHERE ${key} = $1`, [id]);
    return row!;
  }
}
