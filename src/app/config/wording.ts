import { type Choice, inWords, joined, scalarKinds } from "./schema-walk.ts";
import { closest, quotedList } from "./suggest.ts";
import { inside, nameOf, type Path, type Tree } from "./tree.ts";
import { maskUserInfo } from "./secrets.ts";
import { adviseOnKey } from "./hints.ts";

export interface Wording {
  readonly message: string;
  readonly fix: string;
}

/** May the value be shown? Not when its key is a secret or unknown, and never when a variable gave it. */
export function isHidden(tree: Tree, options: readonly Choice[]): boolean {
  if (tree.kind === "scalar" && tree.variables.length > 0) return true;
  return options.length === 0 || options.some((choice) => choice.secret);
}

export function found(tree: Tree, options: readonly Choice[]): string {
  if (tree.kind === "map") return "a mapping";
  if (tree.kind === "list") return "a list";
  if (tree.variables.length > 0) return `the value of the variable ${quotedList(tree.variables)} (not shown)`;
  const { value } = tree;
  if (value === null) return tree.written === "" ? "nothing" : `\`${tree.written}\``;
  if (isHidden(tree, options)) return `a ${typeof value === "string" ? "text" : typeof value} (not shown)`;
  if (typeof value === "number") return `the number \`${tree.written}\``;
  if (typeof value === "boolean") return `\`${tree.written}\``;
  return value === "" ? "an empty text" : `the text ${shown(value)}`;
}

const MAX_SHOWN = 60;

/** A text for a message: one line, not long, no credentials of a URL. */
export function shown(text: string): string {
  const line = maskUserInfo(text).replaceAll(/\s+/gu, " ").replaceAll("`", "'");
  return `\`${line.length > MAX_SHOWN ? `${line.slice(0, MAX_SHOWN)}…` : line}\``;
}

export function wrongValue(path: Path, tree: Tree, options: readonly Choice[], says?: string): Wording {
  const key = String(path.at(-1));
  const wanted = says ?? joined(options.map(inWords));
  if (tree.kind === "scalar" && tree.value === null && tree.written === "") {
    return { message: `${nameOf(path)} is empty; it must be ${wanted}`, fix: emptyFix(path, key, options) };
  }
  const message = `${nameOf(path)} must be ${wanted}; found ${found(tree, options)}`;
  return { message, fix: wrongFix(key, tree, options) };
}

function emptyFix(path: Path, key: string, options: readonly Choice[]): string {
  const example = exampleOf(options);
  if (example !== null && typeof path.at(-1) === "string") return `write \`${key}: ${example}\`, or remove the key.`;
  return typeof path.at(-1) === "number"
    ? "remove the item, or write a value."
    : "write a value after it, or remove the key.";
}

const BOOLEAN_WORDS: Readonly<Record<string, boolean>> = {
  yes: true,
  y: true,
  on: true,
  no: false,
  n: false,
  off: false,
};

function wrongFix(key: string, tree: Tree, options: readonly Choice[]): string {
  const kinds = scalarKinds(options);
  if (tree.kind === "scalar" && !isHidden(tree, options)) {
    const { value, written } = tree;
    if (typeof value === "string") {
      const bool = BOOLEAN_WORDS[value.toLowerCase()];
      if (kinds.has("boolean") && bool !== undefined) {
        return `YAML 1.2 reads \`${value}\` as a text: write \`${key}: ${String(bool)}\`.`;
      }
      if (kinds.has("boolean") && /^(true|false)$/i.test(value))
        return `write it without quotes, in lower case: \`${key}: ${value.toLowerCase()}\`.`;
      const digits = value.replaceAll(/[_, ]/g, "");
      if (kinds.has("number") && /^-?\d+(\.\d+)?$/.test(digits)) return `write it as a number: \`${key}: ${digits}\`.`;
      const words = options.flatMap((choice) => literalTexts(choice));
      const near = closest(value, words);
      if (near !== null) return `did you mean \`${key}: ${near}\`?`;
    } else if (value !== null && kinds.has("string") && exampleOf(options) === null) {
      return `put it in quotes: \`${key}: "${written}"\`.`;
    }
  }
  const listed = options.find((choice) => inWords({ ...choice, wanted: null }) === "a list");
  const example = exampleOf(options);
  if (listed !== undefined && options.length === 1 && tree.kind === "scalar" && !isHidden(tree, options)) {
    return `write it as a list: \`${key}: [${String(tree.value)}]\`.`;
  }
  if (example !== null) return `write, for example, \`${key}: ${example}\`.`;
  return `correct the value of \`${key}\`.`;
}

function literalTexts({ schema }: Choice): readonly string[] {
  const { def } = (
    schema as { _zod: { def: { type: string; entries?: Record<string, unknown>; values?: readonly unknown[] } } }
  )._zod;
  const values =
    def.type === "enum" ? Object.values(def.entries ?? {}) : def.type === "literal" ? (def.values ?? []) : [];
  return values.filter((value) => typeof value === "string");
}

export function exampleOf(options: readonly Choice[]): string | null {
  for (const { example } of options) if (example !== null) return example;
  for (const choice of options) {
    const [first] = literalTexts(choice);
    if (first !== undefined) return first;
  }
  return null;
}

export function missingKey(path: Path, options: readonly Choice[]): Wording {
  const key = String(path.at(-1));
  const example = exampleOf(options);
  const secret = options.some((choice) => choice.secret);
  const text = secret ? `\${${variableFor(path)}}` : (example ?? "…");
  return { message: `missing key \`${key}\` ${inside(path.slice(0, -1))}`, fix: `add \`${key}: ${text}\`.` };
}

function variableFor(path: Path): string {
  return path
    .slice(1)
    .join("_")
    .replaceAll(/[^A-Za-z0-9]+/g, "_")
    .toUpperCase();
}

export function unknownKey(path: Path, known: readonly string[]): Wording & { readonly meant: string | null } {
  const key = String(path.at(-1));
  const parent = path.slice(0, -1);
  const { meant, fix } = adviseOnKey(parent, key, known);
  const suggestion = meant === null ? "" : `; did you mean \`${meant}\`?`;
  return { message: `unknown key \`${key}\` ${inside(parent)}${suggestion}`, fix, meant };
}
