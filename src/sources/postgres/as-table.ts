import { TailraceError } from "../../contracts/errors.ts";
import type { Model, TableModel } from "../../contracts/model.ts";

/** Throws for a query. */
export function asTable(model: Model): TableModel {
  if (model.kind === "table") return model;
  throw new TailraceError("source.model", `model ${model.name}: queries are not read yet`);
}
