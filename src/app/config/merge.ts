import { type Entry, type Flaw, inside, type MapTree } from "./tree.ts";

const SECTIONS = new Set(["sources", "models", "destinations", "syncs", "alerts"]);

/** The files of a folder as one: their sections joined by name. A name that two of them give is a flaw that names both. */
export function mergeFiles(trees: readonly MapTree[], flaws: Flaw[]): MapTree {
  const [first, ...rest] = trees;
  if (first === undefined) throw new RangeError("no file to merge");
  const merged = new Map(first.entries);
  for (const tree of rest) {
    for (const [name, entry] of tree.entries) {
      const before = merged.get(name);
      if (before === undefined) merged.set(name, entry);
      else if (name.startsWith("x-")) continue;
      else if (SECTIONS.has(name) && before.value.kind === "map" && entry.value.kind === "map") {
        merged.set(name, { ...before, value: mergeSection(name, before.value, entry.value, flaws) });
      } else if (SECTIONS.has(name)) {
        // One of the two is empty or not a mapping: that is said of the one it is true of.
        if (before.value.kind === "map") merged.set(name, entry);
      } else flaws.push(duplicate([], before, entry));
    }
  }
  return { kind: "map", place: first.place, entries: merged };
}

function mergeSection(section: string, before: MapTree, added: MapTree, flaws: Flaw[]): MapTree {
  const entries = new Map(before.entries);
  for (const [name, entry] of added.entries) {
    const first = entries.get(name);
    if (first === undefined) entries.set(name, entry);
    else flaws.push(duplicate([section], first, entry));
  }
  return { ...before, entries };
}

function duplicate(parent: readonly string[], first: Entry, second: Entry): Flaw {
  const { file, line, column } = first.key;
  return {
    place: second.key,
    path: [...parent, second.name],
    message: `duplicate key \`${second.name}\` ${inside(parent)}; the first is at ${file}:${line}:${column}`,
    fix: "remove one of the two, or rename it.",
  };
}
