import { registerHooks } from "node:module";
import { extname } from "node:path";
import { pathToFileURL } from "node:url";
import type { RowCode } from "../../contracts/sync.ts";
import { columnsOf } from "./define.ts";
import { wholeFile } from "./files.ts";
import type { Problem } from "./problem.ts";
import {
  type Entry,
  type Flaw,
  type MapTree,
  nameOf,
  type Path,
  type Place,
  type ScalarTree,
  type Tree,
} from "./tree.ts";
import { type Environment, substitute } from "./variables.ts";

const EXTENSIONS = [".ts", ".mts", ".js", ".mjs"];
const MOST_LEVELS = 64;

/** Whether a configuration is a program, which gives it when it runs. */
export function isProgram(path: string): boolean {
  return EXTENSIONS.includes(extname(path));
}

export interface LoadedProgram {
  /** null: there is none. */
  readonly tree: MapTree | null;
  readonly flaws: readonly Flaw[];
  readonly problem: Problem | null;
}

/** Runs the file, and makes of what it exports as default the tree that a YAML file is read into. */
export async function loadProgram(full: string, shown: string, environment: Environment): Promise<LoadedProgram> {
  const failed = (message: string, fix: string): LoadedProgram => {
    return { tree: null, flaws: [], problem: wholeFile(shown, message, fix) };
  };
  let exported: unknown;
  try {
    exported = ((await importProgram(full)) as { readonly default?: unknown }).default;
  } catch (error) {
    const { name, message } = error instanceof Error ? error : { name: "error", message: String(error) };
    const where = error instanceof Error ? lineIn(error.stack ?? "", full) : "";
    return failed(`this file cannot be run: ${name}${where}: ${message}`, "correct it; `node` runs it alone, too.");
  }
  if (typeof exported !== "object" || exported === null || Array.isArray(exported))
    return failed("this file exports no configuration", "write `export default defineConfig({ … })`.");
  const builder = new ValueTree(shown, environment);
  return { tree: builder.map(exported, []), flaws: builder.flaws, problem: null };
}

/** `tailrace` is this very Tailrace, wherever it and the file are; and the file is a module, whatever package it is in. */
async function importProgram(full: string): Promise<unknown> {
  const url = pathToFileURL(full).href;
  const here = new URL(`./define${extname(import.meta.url)}`, import.meta.url).href;
  const format = full.endsWith("ts") ? "module-typescript" : "module";
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      if (specifier === "tailrace") return { url: here, shortCircuit: true };
      const resolved = next(specifier, context);
      return resolved.url === url ? { ...resolved, format } : resolved;
    },
  });
  try {
    return await import(url);
  } finally {
    hooks.deregister();
  }
}

/** ` (line 3)`, where the stack says so. */
function lineIn(stack: string, full: string): string {
  const at = stack.indexOf(full);
  const line = at === -1 ? undefined : /^:(\d+)/.exec(stack.slice(at + full.length))?.[1];
  return line === undefined ? "" : ` (line ${line})`;
}

class ValueTree {
  readonly flaws: Flaw[] = [];
  readonly #file: string;
  readonly #environment: Environment;

  constructor(file: string, environment: Environment) {
    this.#file = file;
    this.#environment = environment;
  }

  map(value: object, path: Path): MapTree {
    const entries = new Map<string, Entry>();
    for (const [name, inner] of Object.entries(value)) {
      if (inner === undefined) continue;
      const at = [...path, name];
      entries.set(name, { name, key: this.#place(at), value: this.#tree(inner, at) });
    }
    return { kind: "map", place: this.#place(path), entries };
  }

  #tree(value: unknown, path: Path): Tree {
    if (path.length > MOST_LEVELS) return this.#wrong(path, "is nested too deeply, or stands inside itself");
    if (Array.isArray(value)) {
      const items = (value as readonly unknown[]).map((item, index) => this.#tree(item, [...path, index]));
      return { kind: "list", place: this.#place(path), items };
    }
    switch (typeof value) {
      case "object":
        if (value === null) return this.#scalar(null, path);
        if (isPlain(value)) return this.map(value, path);
        break;
      case "string":
        return this.#text(value, path);
      case "number":
      case "boolean":
        return this.#scalar(value, path);
      case "function":
        return this.#code(value as RowCode["run"], path);
      default:
    }
    return this.#wrong(path, "must be a text, a number, true, false, null, a list or an object");
  }

  #text(text: string, path: Path): Tree {
    const { text: value, names, whole, missing, malformed } = substitute(text, this.#environment);
    for (const name of new Set(missing)) {
      const fix = `set it in the environment or in a \`.env\` file beside the configuration, or give a default: \`\${${name}:-…}\`.`;
      this.#flaw(path, `the variable \`${name}\` is not set`, fix);
    }
    if (malformed.length > 0)
      this.#flaw(path, "`${` begins a variable, but no `NAME}` follows it", "write `${NAME}` or `${NAME:-default}`.");
    const broken = missing.length + malformed.length > 0;
    return { ...this.#scalar(value, path), written: text, variables: names, whole, broken };
  }

  /** Code stands where the text of a column, a template or a condition may. */
  #code(run: RowCode["run"], path: Path): Tree {
    const [section, , key, , inner] = path;
    const isField = key === "map" && (path.length === 4 || (path.length === 5 && inner === "template"));
    if (section !== "syncs" || !(isField || (key === "where" && path.length === 3)))
      return this.#wrong(path, "cannot be a function: only fields of `map` and `where` of a sync can");
    const text = String(run);
    return { ...this.#scalar(text, path), code: { run, columns: columnsOf(run), text } };
  }

  #scalar(value: ScalarTree["value"], path: Path): ScalarTree {
    const written = value === null ? "null" : String(value);
    return { kind: "scalar", place: this.#place(path), value, written, variables: [], whole: false, broken: false };
  }

  #wrong(path: Path, what: string): Tree {
    this.#flaw(path, `${nameOf(path)} ${what}`, "correct it.");
    return { ...this.#scalar(null, path), broken: true };
  }

  #flaw(path: Path, message: string, fix: string): void {
    this.flaws.push({ place: this.#place(path), path, message, fix });
  }

  #place(path: Path): Place {
    return { file: this.#file, line: 0, column: 0, length: 1, start: 0, end: 0, key: path.join(".") };
  }
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
