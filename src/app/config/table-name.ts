import type { TableName } from "../../contracts/model.ts";

export type ParsedTable =
  | { readonly ok: true; readonly table: TableName }
  | { readonly ok: false; readonly message: string; readonly fix: string };

const EXAMPLE = 'write `schema.name`, and `"My Schema"."my.table"` for parts with a dot or a space.';

/**
 * `public.users`, `users`, `"My Schema"."t.x"`; `catalog.schema.users`, whose namespace is `catalog.schema`. Names are taken as written: nothing
 * is folded to lower case.
 */
export function parseTableName(text: string): ParsedTable {
  const parts: string[] = [];
  const part = /\s*(?:"((?:[^"]|"")*)"|([^".\s]+))\s*(\.|$)/y;
  for (;;) {
    const match = part.exec(text);
    if (match === null) return { ok: false, message: reason(text, part.lastIndex), fix: EXAMPLE };
    const name = match[1]?.replaceAll('""', '"') ?? match[2] ?? "";
    if (name === "") return { ok: false, message: "has an empty name", fix: EXAMPLE };
    parts.push(name);
    if (match[3] !== ".") break;
    if (part.lastIndex === text.length) return { ok: false, message: "ends with a dot", fix: EXAMPLE };
  }
  if (parts.length > 3) {
    const fix = "write `schema.name`, or in a warehouse `catalog.schema.name`.";
    return { ok: false, message: "has more than three parts", fix };
  }
  const name = parts.pop()!;
  return { ok: true, table: { namespace: parts.length === 0 ? null : parts.join("."), name } };
}

function reason(text: string, from: number): string {
  const rest = text.slice(from);
  if (rest.split('"').length % 2 === 0) return "has a quote that is not closed";
  if (rest.trimStart().startsWith(".") || rest.trim() === "") return "has an empty name";
  return "has a part that needs double quotes";
}
