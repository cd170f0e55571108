import { type Choice, children, defOf, knownKeys } from "./schema-walk.ts";
import { closest } from "../../contracts/did-you-mean.ts";
import type { Entry, Path, Place, Tree } from "./tree.ts";

/**
 * What of a configuration may be shown to people. Everything that is not known to be harmless is a secret: the values of
 * secret and of unknown keys, what a slip of the keyboard made a key of, comments, and what the schema never sees.
 */
export interface Shown {
  /** Keys and values that an excerpt may show. */
  readonly places: Place[];
  /** Keys that no message may name. */
  readonly hiddenKeys: Set<string>;
}

/** `strict`: where connections and their secrets are; `open`: models and syncs. */
export type Discretion = "strict" | "open";

/** Names a variable, and so tells nothing. */
const NAMES_ONLY = /^\$\{[A-Za-z0-9_]*\}?$/;
const SENSITIVE_KEY = /secret|token|passw|pwd|api.?key|auth|credential|private|header/i;
const WORDS = /^[A-Za-z]+(?:[_. -][A-Za-z]+)*$/;

/** Long and mixed of letters and digits, as keys and generated passwords are. */
export function looksSecret(text: string): boolean {
  return text.split(/[\s,:;{}[\]"'/@?&=.|()]+/).some((word) => {
    if (word.length >= 32) return true;
    return word.length >= 8 && /\d/.test(word) && /[A-Za-z]/.test(word);
  });
}

/** Whether a value at this path stands where secrets are. */
export function discretionAt(path: Path): Discretion {
  const [section, , key] = path;
  return section === "models" || (section === "syncs" && key !== "options") ? "open" : "strict";
}

/** May this text be shown as the value of a key that is known and not secret? */
export function isHarmless(text: string, discretion: Discretion): boolean {
  // Longer or of several lines: a quote that was not closed may have swallowed what stands below it.
  return discretion === "open" && text.length <= 60 && !text.includes("\n") ? true : !looksSecret(text);
}

export function showTree(tree: Tree, options: readonly Choice[], discretion: Discretion, shown: Shown): void {
  if (tree.kind === "map") {
    for (const entry of tree.entries.values()) showEntry(entry, options, discretion, shown);
  } else if (tree.kind === "list") {
    tree.items.forEach((item, i) => {
      const inner = options.flatMap((choice) => children(choice, i));
      showTree(item, inner, discretion, shown);
    });
  } else if (NAMES_ONLY.test(tree.written)) shown.places.push(tree.place);
  else if (options.length > 0 && !options.some((choice) => choice.secret) && isHarmless(tree.written, discretion)) {
    shown.places.push(tree.place);
  }
}

function showEntry(entry: Entry, options: readonly Choice[], discretion: Discretion, shown: Shown): void {
  const { name, key, value } = entry;
  // What may be anything has no schema that says it is not a secret.
  const inner = options
    .flatMap((choice) => children(choice, name))
    .filter(({ schema }) => !/^(any|unknown)$/.test(defOf(schema).type));
  showKey(name, key, value, options, discretion, shown);
  if (inner.length > 0) showTree(value, inner, discretion, shown);
  else if (discretion === "open" && !SENSITIVE_KEY.test(name)) {
    const values = value.kind === "list" ? value.items : [value];
    for (const item of values) {
      // What is not written stands where its key stands.
      if (item.kind === "scalar" && item.written !== "" && !looksSecret(item.written)) shown.places.push(item.place);
    }
  } else showTree(value, [], "strict", shown);
}

function showKey(
  name: string,
  key: Place,
  value: Tree,
  options: readonly Choice[],
  discretion: Discretion,
  shown: Shown,
): void {
  const known = options.flatMap(({ schema }) =>
    defOf(schema).type === "object" ? (knownKeys([{ schema, secret: false, wanted: null, example: null }]) ?? []) : [],
  );
  const near = closest(name, known);
  // `password abc`, whose colon was forgotten, begins like a key, but is one with its value.
  const isKnown = known.includes(name) || (near !== null && name.length <= near.length + 2 && !/\s/.test(name));
  const isEmpty = value.kind === "scalar" && value.written === "";
  const isWords = WORDS.test(name) && name.length <= 40 && !isEmpty;
  const isAny = options.some(({ schema }) => defOf(schema).type === "record");
  // Where options lost their indentation, a lone word in braces may be a secret whose key was lost, too.
  const isOpen = discretion === "open" && (isAny || !isEmpty || !looksSecret(name));
  if (isKnown || isOpen || isWords) shown.places.push(key);
  else shown.hiddenKeys.add(name);
}

/** The name of a source or sync, or of a section. */
export function showName({ name, key, value }: Entry, shown: Shown): void {
  const isEmpty = value.kind === "scalar" && value.written === "";
  if (name.length > 80 || /\n/.test(name) || (isEmpty && looksSecret(name))) shown.hiddenKeys.add(name);
  else shown.places.push(key);
}

/** A plain value where a section should be. */
export function showStray({ name, value }: Entry, shown: Shown): void {
  if (value.kind === "scalar" && isShownStray(name, value.written)) shown.places.push(value.place);
}

export function isShownStray(section: string, text: string): boolean {
  return (section === "syncs" || section === "models") && !looksSecret(text);
}

/** A message without the keys that must not be named. */
export function withoutHidden(message: string, hiddenKeys: Iterable<string>): string {
  let text = message;
  for (const name of [...hiddenKeys].sort((a, b) => b.length - a.length)) {
    if (name.length > 3) text = text.replaceAll(name, "***");
  }
  return text;
}
