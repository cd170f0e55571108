import type { RowCode } from "../../contracts/sync.ts";

/** What a configuration file says, with the place of every key and value; YAML itself does not reach further. */

export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** How much of the line to mark. */
  readonly length: number;
  /** Offsets in the file's text; both 0 for the file itself. */
  readonly start: number;
  readonly end: number;
  /** The path of keys, where the file has no lines to name (`line` is 0): a configuration that is a program. */
  readonly key?: string | undefined;
}

export type Tree = MapTree | ListTree | ScalarTree;

export interface MapTree {
  readonly kind: "map";
  readonly place: Place;
  readonly entries: ReadonlyMap<string, Entry>;
}

export interface Entry {
  readonly name: string;
  readonly key: Place;
  readonly value: Tree;
}

export interface ListTree {
  readonly kind: "list";
  readonly place: Place;
  readonly items: readonly Tree[];
}

export interface ScalarTree {
  readonly kind: "scalar";
  readonly place: Place;
  readonly value: string | number | boolean | null;
  /** As the file writes it. */
  readonly written: string;
  /** Names of the variables that the value came from: it must not be shown. */
  readonly variables: readonly string[];
  /** The value is one `${…}` and nothing else. */
  readonly whole: boolean;
  /** Something is wrong with it already: what follows from that is not reported again. */
  readonly broken: boolean;
  /** A function; `value` is its source. */
  readonly code?: RowCode | undefined;
}

export type Path = readonly (string | number)[];

/** Something wrong at a place; becomes a Problem when the line around it has been masked. */
export interface Flaw {
  readonly place: Place;
  readonly path: Path;
  readonly message: string;
  readonly fix?: string | undefined;
}

/** The value at the path, or its nearest ancestor that exists. */
export function nearest(
  tree: Tree,
  path: Path,
): { readonly tree: Tree; readonly key: Place | null; readonly depth: number } {
  let current = tree;
  let key: Place | null = null;
  let depth = 0;
  for (const step of path) {
    if (current.kind === "map") {
      const entry = current.entries.get(String(step));
      if (entry === undefined) break;
      current = entry.value;
      key = entry.key;
    } else if (current.kind === "list") {
      const item = current.items[Number(step)];
      if (item === undefined) break;
      current = item;
      key = null;
    } else break;
    depth += 1;
  }
  return { tree: current, key, depth };
}

export function entryOf(tree: Tree | undefined, name: string): Entry | undefined {
  return tree?.kind === "map" ? tree.entries.get(name) : undefined;
}

/** The value at exactly this path. */
export function valueAt(tree: Tree, path: Path): Tree | undefined {
  const found = nearest(tree, path);
  return found.depth === path.length ? found.tree : undefined;
}

export function hasBroken(tree: Tree): boolean {
  if (tree.kind === "scalar") return tree.broken;
  if (tree.kind === "list") return tree.items.some(hasBroken);
  return [...tree.entries.values()].some((entry) => hasBroken(entry.value));
}

/** As plain data. Mappings have no prototype. */
export function plain(tree: Tree): unknown {
  if (tree.kind === "scalar") return tree.value;
  if (tree.kind === "list") return tree.items.map(plain);
  const result = Object.create(null) as Record<string, unknown>;
  for (const [name, entry] of tree.entries) result[name] = plain(entry.value);
  return result;
}

const KINDS: Readonly<Record<string, string>> = {
  sources: "source",
  models: "model",
  destinations: "destination",
  syncs: "sync",
  alerts: "alert",
};

/** `sync \`users_to_crm\``; null when the path is not inside a named thing. */
export function subject(path: Path): string | null {
  const kind = KINDS[String(path[0])];
  return kind === undefined || path.length < 2 ? null : `${kind} \`${String(path[1])}\``;
}

/** Where a key with this parent stands: "in `batch` of sync `users_to_crm`". */
export function inside(parent: Path): string {
  if (parent.length === 0) return "at the top level";
  const thing = subject(parent);
  if (thing === null) return `in \`${parent.join(".")}\``;
  return parent.length === 2 ? `in ${thing}` : `in \`${parent.slice(2).join(".")}\` of ${thing}`;
}

/** A value by its path: "`batch.age` in sync `users_to_crm`". */
export function nameOf(path: Path): string {
  const last = path.at(-1);
  if (typeof last === "number") return `item ${last + 1} of ${nameOf(path.slice(0, -1))}`;
  const thing = subject(path);
  if (thing === null) return `\`${path.join(".")}\``;
  return path.length === 2 ? thing : `\`${path.slice(2).join(".")}\` in ${thing}`;
}
