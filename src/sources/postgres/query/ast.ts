// PostgreSQL's own parser.
import { deparseSync, parse } from "pgsql-parser";
import { NotLive } from "../../../kit/live-query/reasons.ts";
import {
  type Node,
  type Of,
  type ParsedSelect,
  type Select,
  type Statements,
  placeIn,
} from "../../../kit/live-query/tree.ts";

/** `sql`: what the database takes as one SELECT. */
export async function parseSelect(sql: string): Promise<ParsedSelect> {
  const bytes = Buffer.from(sql, "utf8");
  let statements: Statements;
  try {
    statements = (await parse(sql)).stmts ?? [];
  } catch (error) {
    const at = (error as { sqlDetails?: { cursorPosition?: number } }).sqlDetails?.cursorPosition;
    throw new NotLive(
      `what PostgreSQL 18 does not know (${(error as Error).message})`,
      "write it in another way",
      at === undefined ? null : placeIn(sql.slice(0, at)),
    );
  }
  const stmt = statements[0]?.stmt;
  if (!stmt || !("SelectStmt" in stmt)) throw new NotLive("a statement that is no SELECT", "write a SELECT");
  return {
    select: stmt.SelectStmt,
    place: (location) =>
      location === undefined || location < 0 ? null : placeIn(bytes.subarray(0, location).toString("utf8")),
  };
}

/** An expression as SQL; null: it would not be read back as what it was. */
export async function expressionSql(expression: Node): Promise<string | null> {
  try {
    const sql = deparseSync(expression);
    const again = await parse(`SELECT ${sql}`);
    const select = (again.stmts?.[0]?.stmt as { SelectStmt?: Select } | undefined)?.SelectStmt;
    const value = (select?.targetList?.[0] as { ResTarget?: Of<"ResTarget"> } | undefined)?.ResTarget?.val;
    return value !== undefined && shape(value) === shape(expression) ? sql : null;
  } catch {
    return null;
  }
}

// The tree without what says where it was written, and how.
function shape(expression: Node): string {
  return JSON.stringify(expression, (name, value: unknown) =>
    name === "location" ||
    name === "rexpr_list_start" ||
    name === "rexpr_list_end" ||
    name === "list_start" ||
    name === "list_end"
      ? undefined
      : value,
  );
}
