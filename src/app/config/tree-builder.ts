import { type Document, isAlias, isMap, isScalar, isSeq, type Node, type Pair } from "yaml";
import type { SourceText } from "./source-text.ts";
import { closest } from "../../contracts/did-you-mean.ts";
import { type Entry, type Flaw, inside, nameOf, type Path, type Place, type Tree } from "./tree.ts";
import { type Environment, type Hidden, substitute, type Substitution } from "./variables.ts";

/** More values than any configuration has; aliases of aliases can ask for billions. */
const MAX_VALUES = 100_000;

/** Makes a tree of a parsed document: resolves aliases and merge keys, replaces variables, finds duplicate keys. */
export class TreeBuilder {
  readonly flaws: Flaw[] = [];
  readonly #source: SourceText;
  readonly #hidden: Hidden;
  readonly #environment: Environment;
  readonly #document: Document.Parsed;
  /** The anchored values that are being built: an alias to one of them would have no end. */
  readonly #open = new Set<Node>();
  #values = 0;

  constructor(source: SourceText, hidden: Hidden, environment: Environment, document: Document.Parsed) {
    this.#source = source;
    this.#hidden = hidden;
    this.#environment = environment;
    this.#document = document;
  }

  /** `fallback`: the place to name when the value is written as nothing at all (`map:`). */
  build(node: Node | null, path: Path, fallback: Place): Tree {
    this.#values += 1;
    if (this.#values === MAX_VALUES) {
      this.#flaw(fallback, path, "aliases make this file too large", "write the values out, or use fewer aliases.");
    }
    if (node === null || this.#values >= MAX_VALUES) return nothing(fallback, this.#values >= MAX_VALUES);
    if (isAlias(node)) return this.#alias(node, path, fallback);
    this.#open.add(node);
    try {
      if (isMap(node)) return this.#map(node.items as Pair<Node, Node | null>[], this.#start(node), path);
      if (isSeq(node)) {
        const place = this.#start(node);
        return {
          kind: "list",
          place,
          items: node.items.map((item, i) => this.#item(item as Node, [...path, i])),
        };
      }
      return this.#scalar(node, path, fallback);
    } finally {
      this.#open.delete(node);
    }
  }

  #item(node: Node, path: Path): Tree {
    // An item that is written as nothing is marked at its dash.
    return this.build(node, path, this.#source.point(Math.max(0, (node.range?.[0] ?? 1) - 1)));
  }

  #alias(node: Node, path: Path, fallback: Place): Tree {
    const place = this.#place(node);
    const target = isAlias(node) ? node.resolve(this.#document) : undefined;
    if (target === undefined) {
      this.#flaw(
        place,
        path,
        "this alias has no anchor before it",
        "define the anchor (`&name`) above, or quote a text that begins with `*`.",
      );
      return nothing(place, true);
    }
    if (this.#open.has(target)) {
      this.#flaw(place, path, "this alias stands inside the value that it repeats", "repeat a value that is complete.");
      return nothing(place, true);
    }
    const tree = this.build(target, path, fallback);
    return { ...tree, place };
  }

  #map(items: readonly Pair<Node, Node | null>[], place: Place, path: Path): Tree {
    if (this.#source.text.startsWith("{{", place.start) || this.#source.text.startsWith("{%", place.start)) {
      const message = `${nameOf(path)} is a template without quotes, which YAML reads as a mapping`;
      this.#flaw({ ...place, length: 2 }, path, message, 'write it in quotes: `{ template: "{{ column }}" }`.');
      return nothing(place, true);
    }
    const own = new Map<string, Entry>();
    const merged = new Map<string, Entry>();
    for (const { key: keyNode, value } of items) {
      const key = this.#place(keyNode);
      if (!isScalar(keyNode)) {
        this.#flaw(
          key,
          path,
          `a key ${inside(path)} must be a plain name`,
          "write it as text, without `?`, `[`, `{` or `*`.",
        );
        continue;
      }
      const written = keyNode.type === "PLAIN" ? (keyNode.source ?? "") : String(keyNode.value);
      const name = this.#hidden.reveal(written);
      if (name === "<<" && keyNode.type === "PLAIN") {
        this.#merge(value, path, key, merged);
        continue;
      }
      if (name.includes("${")) {
        this.#flaw(
          key,
          path,
          `a variable is not replaced in a key ${inside(path)}`,
          "write the key out; only values may hold `${…}`.",
        );
        continue;
      }
      if (name === "__proto__") {
        this.#flaw(
          key,
          [...path, name],
          `the key \`__proto__\` ${inside(path)} is not allowed`,
          "choose another name.",
        );
        continue;
      }
      const first = own.get(name);
      if (first !== undefined) {
        const message = `duplicate key \`${name}\` ${inside(path)}; the first is on line ${first.key.line}`;
        this.#flaw(key, [...path, name], message, "remove one of the two, or rename it.");
        continue;
      }
      own.set(name, { name, key, value: this.build(value, [...path, name], key) });
    }
    for (const [name, entry] of merged) if (!own.has(name)) own.set(name, entry);
    // With only keys that cannot be read, it would look like an empty mapping.
    if (own.size === 0 && items.length > 0) return nothing(place, true);
    return { kind: "map", place, entries: own };
  }

  #merge(value: Node | null, path: Path, key: Place, into: Map<string, Entry>): void {
    const tree = this.build(value, path, key);
    for (const part of tree.kind === "list" ? tree.items : [tree]) {
      if (part.kind === "map") {
        for (const [name, entry] of part.entries) if (!into.has(name)) into.set(name, entry);
      } else if (!(part.kind === "scalar" && part.broken)) {
        this.#flaw(
          key,
          path,
          `\`<<\` ${inside(path)} merges mappings only`,
          "give it an alias of a mapping: `<<: *defaults`.",
        );
      }
    }
  }

  #scalar(node: Node, path: Path, fallback: Place): Tree {
    if (!isScalar(node)) return nothing(fallback, false);
    const written = this.#hidden.reveal(node.source ?? "");
    if (node.value === null && written === "") return nothing(fallback, false);
    const place = this.#place(node);
    const base = { kind: "scalar", place, written, variables: [], whole: false, broken: false } as const;
    if (typeof node.value === "string") {
      const text = this.#hidden.reveal(node.value);
      if (!text.includes("${")) return { ...base, value: text };
      const result = substitute(text, this.#environment);
      const broken = this.#substitutionFlaws(result, node, path);
      return { ...base, value: result.text, variables: result.names, whole: result.whole, broken };
    }
    const { value } = node;
    if (value === null || typeof value === "number" || typeof value === "boolean") return { ...base, value };
    this.#flaw(
      place,
      path,
      `this kind of YAML value is not supported ${inside(path.slice(0, -1))}`,
      "write a text, a number, true, false or null.",
    );
    return nothing(place, true);
  }

  #substitutionFlaws(result: Substitution, node: Node, path: Path): boolean {
    for (const name of new Set(result.missing)) {
      const place = this.#variablePlace(node, name);
      const fix = `set it in the environment or in a \`.env\` file beside the configuration, or give a default: \`\${${name}:-…}\`.`;
      const near = closest(name, Object.keys(this.#environment));
      const suggestion = near === null ? "" : `; did you mean \`${near}\`?`;
      this.#flaw(place, path, `the variable \`${name}\` is not set${suggestion}`, fix);
    }
    if (result.malformed.length > 0) {
      const fix = "write `${NAME}` or `${NAME:-default}`; `$${` stands for a `${` that is meant as text.";
      this.#flaw(this.#place(node), path, "`${` begins a variable, but no `NAME}` follows it", fix);
    }
    return result.missing.length > 0 || result.malformed.length > 0;
  }

  #variablePlace(node: Node, name: string): Place {
    const [start, end] = node.range ?? [0, 0];
    const match = new RegExp(`\\$\\{${name}(?![A-Za-z0-9_])[^}]*\\}`).exec(this.#source.text.slice(start, end));
    return match === null
      ? this.#place(node)
      : this.#source.place(start + match.index, start + match.index + match[0].length);
  }

  #place(node: Node): Place {
    const [start, end] = node.range ?? [0, 0];
    return this.#source.place(start, end);
  }

  #start(node: Node): Place {
    const [start, end] = node.range ?? [0, 0];
    return { ...this.#source.place(start, end), length: 1 };
  }

  #flaw(place: Place, path: Path, message: string, fix: string): void {
    this.flaws.push({ place, path, message, fix });
  }
}

function nothing(place: Place, broken: boolean): Tree {
  return { kind: "scalar", place, value: null, written: "", variables: [], whole: false, broken };
}
