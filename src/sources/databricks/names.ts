import type { TableModel } from "../../contracts/model.ts";
import type { Settings } from "./settings.ts";

export function quoteName(name: string): string {
  return `\`${name.replaceAll("`", "``")}\``;
}

/** A string literal; a backslash begins an escape there. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

/** Where a table is. `catalog` null: the session's own. */
export interface TablePlace {
  readonly catalog: string | null;
  readonly schema: string;
  readonly name: string;
}

/** A model's namespace is `schema` or `catalog.schema`. */
export function placeOf({ table }: TableModel, settings: Pick<Settings, "catalog" | "schema">): TablePlace {
  const parts = table.namespace === null ? [] : table.namespace.split(".");
  const schema = parts.pop() ?? settings.schema;
  return { catalog: parts.join(".") || (settings.catalog ?? null), schema, name: table.name };
}

export function sqlName({ catalog, schema, name }: TablePlace): string {
  return [...(catalog === null ? [] : [catalog]), schema, name].map(quoteName).join(".");
}
