import type { TableModel } from "../../contracts/model.ts";
import { TailraceError } from "../../contracts/errors.ts";

/** Where a table is. */
export interface TablePlace {
  readonly project: string;
  readonly dataset: string;
  readonly table: string;
}

/** A name of GoogleSQL; in it a backslash begins an escape. */
export function quoteName(name: string): string {
  return `\`${name.replaceAll("\\", "\\\\").replaceAll("`", "\\`")}\``;
}

export function sqlName({ project, dataset, table }: TablePlace): string {
  return [project, dataset, table].map(quoteName).join(".");
}

export function quoteText(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'").replaceAll("\n", "\\n")}'`;
}

/** A model's namespace is `dataset` or `project.dataset`. */
export function placeOf({ name, table }: TableModel, project: string, dataset: string | undefined): TablePlace {
  const parts = table.namespace === null ? [] : table.namespace.split(".");
  const own = parts.pop() ?? dataset;
  if (own === undefined)
    throw new TailraceError(
      "source.model",
      `model ${name}: write its table as dataset.table, or give the source a \`dataset\``,
    );
  return { project: parts.join(".") || project, dataset: own, table: table.name };
}

/** `dataset.table`, or `project.dataset.table` of another project: as the configuration names it. */
export function isNamed(names: readonly string[], { project, dataset, table }: TablePlace): boolean {
  return names.includes(`${dataset}.${table}`) || names.includes(`${project}.${dataset}.${table}`);
}
