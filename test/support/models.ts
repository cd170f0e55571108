import { ON_DEMAND, type QueryModel, type TableModel } from "../../src/contracts/model.ts";

/** A model of a table, as a configuration that says nothing else of it makes it. */
export function tableModel(
  name: string,
  options: {
    readonly model?: string;
    readonly namespace?: string | null;
    readonly key?: readonly string[] | null;
  } = {},
): TableModel {
  const { model = name, namespace = null, key = null } = options;
  return { kind: "table", name: model, source: "s", table: { namespace, name }, key, diff: ON_DEMAND };
}

/** A model of a query, followed live where it can be. */
export function queryModel(
  sql: string,
  options: Partial<Omit<QueryModel, "kind" | "sql" | "source">> & { readonly key: readonly string[] },
): QueryModel {
  return { kind: "query", name: "m", source: "s", sql, capture: "auto", windowMs: 20, diff: ON_DEMAND, ...options };
}
