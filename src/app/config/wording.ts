import { safeParse } from "zod/v4/core";
import { type Choice, defOf, inWords, joined, scalarKinds } from "./schema-walk.ts";
import { closest } from "../../contracts/did-you-mean.ts";
import { quotedList } from "./suggest.ts";
import { inside, nameOf, type Path, type ScalarTree, type Tree } from "./tree.ts";
import { type Discretion, discretionAt, isHarmless } from "./discretion.ts";
import { maskUserInfo } from "./excerpt.ts";
import { adviseOnKey } from "./hints.ts";

export interface Wording {
  readonly message: string;
  readonly fix: string;
}

/** May the value be shown? Not when its key is a secret or unknown, and never when a variable gave it. */
export function isHidden(tree: Tree, options: readonly Choice[], discretion: Discretion): boolean {
  if (tree.kind === "scalar" && tree.variables.length > 0) return true;
  if (tree.kind === "scalar" && !isHarmless(tree.written, discretion)) return true;
  // Where connections are, a lone text in place of a mapping may be the secret itself.
  if (discretion === "strict" && tree.kind === "scalar" && scalarKinds(options).size === 0) return true;
  return options.length === 0 || options.some((choice) => choice.secret);
}

export function found(tree: Tree, hidden: boolean): string {
  if (tree.kind === "map") return "a mapping";
  if (tree.kind === "list") return "a list";
  if (tree.variables.length > 0) return `the value of the variable ${quotedList(tree.variables)} (not shown)`;
  const { value } = tree;
  if (value === null) return tree.written === "" ? "nothing" : `\`${tree.written}\``;
  if (hidden) return `a ${typeof value === "string" ? "text" : typeof value} (not shown)`;
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
  const key = path.at(-1);
  const wanted = says ?? joined(options.map(inWords));
  if (tree.kind === "scalar" && tree.value === null && tree.written === "") {
    return { message: `${nameOf(path)} is empty; it must be ${wanted}`, fix: emptyFix(key, options) };
  }
  const hidden = isHidden(tree, options, discretionAt(path));
  const message = `${nameOf(path)} must be ${wanted}; found ${found(tree, hidden)}`;
  return { message, fix: wrongFix(key, tree, options, hidden) };
}

/** Would it do as a text? */
function fitsInQuotes(written: string, options: readonly Choice[]): boolean {
  return options.some(({ schema }) => defOf(schema).type === "string" && safeParse(schema, written).success);
}

function emptyFix(key: string | number | undefined, options: readonly Choice[]): string {
  const example = exampleOf(options);
  if (example !== null && typeof key === "string") return `write \`${key}: ${example}\`, or remove the key.`;
  return typeof key === "number" ? "remove the item, or write a value." : "write a value after it, or remove the key.";
}

const BOOLEAN_WORDS: Readonly<Record<string, boolean>> = {
  yes: true,
  y: true,
  on: true,
  no: false,
  n: false,
  off: false,
};

function wrongFix(key: string | number | undefined, tree: Tree, options: readonly Choice[], hidden: boolean): string {
  // An item of a list has no key to write before it.
  const assign = (value: string): string => (typeof key === "string" ? `\`${key}: ${value}\`` : `\`${value}\``);
  const kinds = scalarKinds(options);
  const example = exampleOf(options);
  if (tree.kind === "scalar" && hidden) {
    const unquoted = tree.variables.length === 0 && typeof tree.value !== "string";
    if (unquoted && fitsInQuotes(tree.written, options)) return "put the value in quotes.";
  } else if (tree.kind === "scalar") {
    const hint = scalarFix(tree, options, assign);
    if (hint !== null) return hint;
  }
  if (example !== null) return `write, for example, ${assign(example)}.`;
  if (kinds.has("boolean")) return `write ${assign("true")} or ${assign("false")}.`;
  if (options.length === 1 && options.every((choice) => inWords({ ...choice, wanted: null }) === "a mapping")) {
    return `write its keys indented under \`${String(key)}:\`.`;
  }
  return typeof key === "string" ? `correct the value of \`${key}\`.` : "correct the item.";
}

function scalarFix(
  { value, written }: ScalarTree,
  options: readonly Choice[],
  assign: (value: string) => string,
): string | null {
  const kinds = scalarKinds(options);
  if (typeof value === "string") {
    const bool = BOOLEAN_WORDS[value.toLowerCase()];
    if (kinds.has("boolean") && bool !== undefined) {
      return `YAML 1.2 reads \`${value}\` as a text: write ${assign(String(bool))}.`;
    }
    if (kinds.has("boolean") && /^(true|false)$/i.test(value)) {
      return `write it without quotes, in lower case: ${assign(value.toLowerCase())}.`;
    }
    const digits = value.replaceAll(/[_, ]/g, "");
    if (kinds.has("number") && /^-?\d+(\.\d+)?$/.test(digits)) return `write it as a number: ${assign(digits)}.`;
    const near = closest(value, options.flatMap(literalTexts));
    if (near !== null) return `did you mean ${assign(near)}?`;
  } else if (value !== null && fitsInQuotes(written, options)) return `put it in quotes: ${assign(`"${written}"`)}.`;
  if (options.length === 1 && options.every((choice) => inWords({ ...choice, wanted: null }) === "a list")) {
    return `write it as a list: ${assign(`[${written}]`)}.`;
  }
  return null;
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
