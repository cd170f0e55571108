/** What Databricks answers instead of rows: `[CONDITION] text SQLSTATE: xxxxx`, as docs.databricks.com/en/error-messages prints it. */
export class DatabricksRefusal extends Error {
  constructor(condition: string, text: string, sqlState = "42000") {
    super(`[${condition}] ${text} SQLSTATE: ${sqlState}`);
  }
}

export function noTable(name: string): DatabricksRefusal {
  return new DatabricksRefusal("TABLE_OR_VIEW_NOT_FOUND", `The table or view ${name} cannot be found.`, "42P01");
}

export function badSyntax(near: string): DatabricksRefusal {
  return new DatabricksRefusal("PARSE_SYNTAX_ERROR", `Syntax error at or near '${near}'.`, "42601");
}
