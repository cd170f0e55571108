// What following a query takes to know of a database: its relations and functions.

export interface BaseColumn {
  readonly name: string;
  readonly notNull: boolean;
  /**
   * Columns of the same class that are equal have the same text, and the other way round. null: texts of equal values may differ (numeric
   * without a scale: 1.0 = 1.00; a collation that takes different texts for equal).
   */
  readonly textClass: string | null;
  /** Its collation tells any two texts apart. */
  readonly deterministic: boolean;
  /** Whether the log can hold it. */
  readonly inLog: boolean;
}

export interface BaseTable {
  /** The {@link Relation.id} that the log has its rows under. */
  readonly id: string;
  /** The name, quoted, as it stands in FROM. */
  readonly sql: string;
  readonly columns: readonly BaseColumn[];
  /** Columns that tell rows apart and are never null, each list on its own. */
  readonly keys: readonly (readonly string[])[];
}

export type CatalogRelation<T extends BaseTable = BaseTable> =
  | { readonly kind: "table"; readonly table: T }
  | { readonly kind: "view"; readonly sql: string; readonly columns: readonly string[]; readonly definition: string }
  /** `what`: as a noun. */
  | { readonly kind: "other"; readonly sql: string; readonly what: string; readonly advice: string };

export interface FunctionInfo {
  readonly kind: "function" | "aggregate" | "window" | "procedure";
  readonly returnsSet: boolean;
  /** One value, neither a row nor several out parameters. */
  readonly scalar: boolean;
  /** How many arguments it can be called with; `most` null: any number. */
  readonly least: number;
  readonly most: number | null;
  /** See {@link BaseColumn.textClass}, of what it returns. */
  readonly textClass: string | null;
}

export interface QueryCatalog {
  /** By the search path when `schema` is null; null: there is none. `descendants`: with the rows of tables that inherit from it. */
  relation(schema: string | null, name: string, descendants: boolean): Promise<CatalogRelation | null>;
}
