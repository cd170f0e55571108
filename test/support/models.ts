import { ON_DEMAND, type TableModel } from "../../src/contracts/model.ts";

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
