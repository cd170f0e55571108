import type * as z from "zod";
import { type Choice, children, choices, choicesAt, inWords, joined, knownKeys, scalarKinds } from "./schema-walk.ts";
import { type Flaw, hasBroken, nameOf, nearest, type Path, type Place, type Tree, valueAt } from "./tree.ts";
import { isHidden, missingKey, unknownKey, type Wording, wrongValue } from "./wording.ts";

export interface Checking {
  /** The value's place in the whole configuration, for messages. */
  readonly path: Path;
  /** What to name when a key is missing. */
  readonly at: Place;
  /** Keys that stand beside these ones and are checked elsewhere; for suggestions. */
  readonly alsoKnown?: readonly string[];
}

export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly flaws: readonly Flaw[] };

/** Checks a value by a schema, ours or a connector's, and says what is wrong in the words of this configuration. */
export async function checkValue<S extends z.ZodType>(
  schema: S,
  tree: Tree,
  checking: Checking,
): Promise<Checked<z.output<S>>> {
  const options = choices(schema);
  const result = await schema.safeParseAsync(valueFor(tree, options));
  const explainer = new Explainer(schema, tree, checking);
  // A schema that drops unknown keys silently must not make them legal.
  explainer.unknownKeys(tree, options, []);
  if (!result.success) for (const issue of result.error.issues) explainer.explain(issue, []);
  const flaws = explainer.flaws();
  if (result.success && flaws.length === 0 && !hasBroken(tree)) return { ok: true, value: result.data };
  return { ok: false, flaws };
}

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** Plain data; the text of a lone `${VAR}` becomes a number or a boolean where only that fits. */
export function valueFor(tree: Tree, options: readonly Choice[]): unknown {
  if (tree.kind === "list")
    return tree.items.map((item, i) =>
      valueFor(
        item,
        options.flatMap((choice) => children(choice, i)),
      ),
    );
  if (tree.kind === "map") {
    const result = Object.create(null) as Record<string, unknown>;
    for (const [name, entry] of tree.entries)
      result[name] = valueFor(
        entry.value,
        options.flatMap((choice) => children(choice, name)),
      );
    return result;
  }
  const { value } = tree;
  if (!tree.whole || typeof value !== "string") return value;
  const kinds = scalarKinds(options);
  if (kinds.has("string")) return value;
  if (kinds.has("number") && NUMBER.test(value.trim())) return Number(value);
  if (kinds.has("boolean") && (value === "true" || value === "false")) return value === "true";
  return value;
}

class Explainer {
  readonly #schema: z.ZodType;
  readonly #tree: Tree;
  readonly #checking: Checking;
  readonly #flaws: Flaw[] = [];
  readonly #missing: { readonly id: string; readonly flaw: Flaw }[] = [];
  /** Keys that were unknown, and keys that they were meant to be: neither is reported again. */
  readonly #seen = new Set<string>();
  readonly #meant = new Set<string>();
  readonly #wrong = new Set<string>();

  constructor(schema: z.ZodType, tree: Tree, checking: Checking) {
    this.#schema = schema;
    this.#tree = tree;
    this.#checking = checking;
  }

  flaws(): readonly Flaw[] {
    return [...this.#flaws, ...this.#missing.filter(({ id }) => !this.#meant.has(id)).map(({ flaw }) => flaw)];
  }

  unknownKeys(tree: Tree, options: readonly Choice[], path: Path): void {
    if (tree.kind === "list") tree.items.forEach((item, i) => this.#unknownKeysIn(item, options, path, i));
    if (tree.kind !== "map") return;
    const known = knownKeys(options);
    for (const name of tree.entries.keys()) {
      if (known !== null && known.length > 0 && !known.includes(name)) this.#unknownKey([...path, name], known);
    }
    for (const [name, entry] of tree.entries) this.#unknownKeysIn(entry.value, options, path, name);
  }

  #unknownKeysIn(tree: Tree, options: readonly Choice[], path: Path, step: string | number): void {
    const inner = options.flatMap((choice) => children(choice, step));
    if (inner.length > 0) this.unknownKeys(tree, inner, [...path, step]);
  }

  explain(issue: z.core.$ZodIssue, prefix: Path): void {
    const path: Path = [...prefix, ...(issue.path as (string | number)[])];
    const options = choicesAt(this.#schema, path);
    if (issue.code === "unrecognized_keys") {
      const known = knownKeys(options) ?? [];
      for (const key of issue.keys) this.#unknownKey([...path, key], known);
      return;
    }
    const tree = valueAt(this.#tree, path);
    if (tree === undefined) {
      this.#missing.push({
        id: path.join("\0"),
        flaw: this.#flaw(path, missingKey([...this.#checking.path, ...path], options)),
      });
      return;
    }
    if (hasBroken(tree)) return;
    if (issue.code === "invalid_union") {
      const branch = bestBranch(issue.errors);
      if (branch !== null) {
        for (const inner of branch) this.explain(inner, path);
        return;
      }
    }
    // One value can fail several checks; the first is enough to correct it.
    const id = path.join("\0");
    if (this.#wrong.has(id) && issue.path.length > 0) return;
    this.#wrong.add(id);
    this.#flaws.push(this.#flaw(path, this.#wording(issue, path, tree, options)));
  }

  #wording(issue: z.core.$ZodIssue, path: Path, tree: Tree, options: readonly Choice[]): Wording {
    const full = [...this.#checking.path, ...path];
    const own = authorsMessage(issue);
    if (own !== null) {
      const text = this.#withoutValues(own).replace(/\.$/, "");
      const prefix = text.includes(`\`${String(full.at(-1))}\``) ? "" : `${nameOf(full)}: `;
      return {
        message: `${prefix}${text}`,
        fix: `correct ${tree.kind === "map" ? "the keys of " : ""}${nameOf(full)}.`,
      };
    }
    if (options.some((choice) => choice.wanted !== null)) return wrongValue(full, tree, options);
    return wrongValue(full, tree, options, limit(issue, options));
  }

  /** A connector's message may quote what it was given. */
  #withoutValues(message: string): string {
    let text = message;
    for (const value of hiddenTexts(this.#tree, choices(this.#schema)))
      if (value.length > 3) text = text.replaceAll(value, "***");
    return text;
  }

  #unknownKey(path: Path, known: readonly string[]): void {
    const id = path.join("\0");
    if (this.#seen.has(id)) return;
    this.#seen.add(id);
    const all = path.length === 1 ? [...known, ...(this.#checking.alsoKnown ?? [])] : known;
    const wording = unknownKey([...this.#checking.path, ...path], all);
    if (wording.meant !== null) this.#meant.add([...path.slice(0, -1), wording.meant].join("\0"));
    const { key } = nearest(this.#tree, path);
    this.#flaws.push({ ...this.#flaw(path, wording), place: key ?? this.#checking.at });
  }

  #flaw(path: Path, { message, fix }: Wording): Flaw {
    const { tree, key, depth } = nearest(this.#tree, path);
    const place =
      depth === path.length
        ? depth === 0 && tree.kind === "map"
          ? this.#checking.at
          : tree.place
        : (key ?? this.#checking.at);
    return { place, path: [...this.#checking.path, ...path], message, fix };
  }
}

/** The alternative that the value was meant as: the one whose kind it has; null when it has none, or several. */
function bestBranch(branches: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] | null {
  const wrongKind = new Set<string | undefined>([
    "invalid_type",
    "invalid_value",
    "invalid_format",
    "invalid_union",
    "too_small",
  ]);
  const fitting = branches.filter(
    (issues) => !issues.some((issue) => issue.path.length === 0 && wrongKind.has(issue.code)),
  );
  if (fitting.length === 0) return null;
  return fitting.reduce((best, issues) => (issues.length < best.length ? issues : best));
}

/** zod's own messages begin with these words; any other was written for this key. */
function authorsMessage(issue: z.core.$ZodIssue): string | null {
  return /^(Invalid|Too (big|small)|Unrecognized)/.test(issue.message) ? null : issue.message;
}

function limit(issue: z.core.$ZodIssue, options: readonly Choice[]): string | undefined {
  const base = joined(options.map(inWords));
  if (issue.code === "too_small" || issue.code === "too_big") {
    const amount = String(issue.code === "too_small" ? issue.minimum : issue.maximum);
    const bound = issue.code === "too_small" ? "at least" : "at most";
    if (issue.origin === "string")
      return amount === "1" && bound === "at least"
        ? "a text that is not empty"
        : `a text of ${bound} ${amount} characters`;
    if (issue.origin === "array" || issue.origin === "set")
      return `a list of ${bound} ${amount} ${amount === "1" ? "item" : "items"}`;
    if (issue.inclusive === false) return `${base} ${issue.code === "too_small" ? "above" : "below"} ${amount}`;
    return `${base} of ${bound} ${amount}`;
  }
  if (issue.code === "not_multiple_of") return `a multiple of ${String(issue.divisor)}`;
  if (issue.code === "invalid_format")
    return issue.format === "url"
      ? "a URL"
      : issue.format === "regex"
        ? undefined
        : `a text of the form ${issue.format}`;
  return undefined;
}

function hiddenTexts(tree: Tree, options: readonly Choice[]): readonly string[] {
  if (tree.kind === "list") {
    return tree.items.flatMap((item, i) =>
      hiddenTexts(
        item,
        options.flatMap((choice) => children(choice, i)),
      ),
    );
  }
  if (tree.kind === "map") {
    return [...tree.entries].flatMap(([name, entry]) =>
      hiddenTexts(
        entry.value,
        options.flatMap((choice) => children(choice, name)),
      ),
    );
  }
  return typeof tree.value === "string" && isHidden(tree, options, "strict") ? [tree.value] : [];
}
