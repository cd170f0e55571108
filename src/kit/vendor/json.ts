// What is read of a vendor's answers, never of rows.

/** An object's own member; undefined when it is no object or has none of that name. */
export function member(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

/** A text, or a number as one: ids come as either. */
export function memberText(value: unknown, name: string): string | undefined {
  const found = member(value, name);
  if (typeof found === "string") return found;
  return typeof found === "number" ? String(found) : undefined;
}

/** A list; empty when there is none. */
export function memberList(value: unknown, name: string): readonly unknown[] {
  const found = member(value, name);
  return Array.isArray(found) ? found : [];
}

/** The items of a flat JSON array as texts, each digit kept; null for one that is null. */
export function flatItems(json: string): (string | null)[] {
  return [...json.matchAll(/"(?:[^"\\]|\\.)*"|[^\s,[\]]+/g)].map(([item]) => {
    if (item === "null") return null;
    return item.startsWith('"') ? (JSON.parse(item) as string) : item;
  });
}
