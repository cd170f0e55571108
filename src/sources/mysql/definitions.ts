// What the definitions of tables and views say beyond their columns.
import type { Connection } from "./connection.ts";
import { literal } from "./sql.ts";

const SYSTEM = new Set(["mysql", "information_schema", "performance_schema", "sys"]);

export function isSystem(database: string): boolean {
  return SYSTEM.has(database.toLowerCase());
}

/** null: the user may not see it. */
export async function definitionOf(connection: Connection, database: string, view: string): Promise<string | null> {
  const definition = await connection.value(
    `SELECT VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ${literal(database)} AND TABLE_NAME = ${literal(view)}`,
  );
  return definition === "" ? null : definition;
}

export interface Cascade {
  readonly constraint: string;
  /** The table whose changes do so; its name as it stands in a FROM of the child's database. */
  readonly parent: string;
}

/** The catalogue shows them to those only who may write the table; its statement is shown to whoever may read it. */
export async function cascadesOf(connection: Connection, table: string): Promise<readonly Cascade[]> {
  const [row] = await connection.rows(`SHOW CREATE TABLE ${table}`);
  const lines = (row?.["Create Table"] ?? "").split("\n");
  return lines.flatMap((line) => {
    if (!/\bON (DELETE|UPDATE) (CASCADE|SET NULL|SET DEFAULT)\b/.test(line)) return [];
    const [, constraint, parent] =
      /CONSTRAINT `((?:[^`]|``)+)` FOREIGN KEY \(.*\) REFERENCES (`.*`) \(/.exec(line) ?? [];
    return constraint === undefined || parent === undefined ? [] : [{ constraint, parent }];
  });
}
