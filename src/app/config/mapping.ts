import type { FieldMapping, Mode, RowCode } from "../../contracts/sync.ts";
import { checkTemplate } from "./expressions.ts";
import { placeText } from "./problem.ts";
import type { MapInput } from "./schema.ts";
import { type Flaw, nameOf, type Path, type Place, type Tree, valueAt } from "./tree.ts";

type FieldInput = Exclude<Exclude<MapInput, "*" | string[]>[string], string>;

/** Turns a checked `map:` into the fields that the engine compiles; null: every column. */
export function compileMap(
  input: MapInput | undefined,
  tree: Tree | undefined,
  context: MapContext,
): readonly FieldMapping[] | null {
  if (input === undefined || input === "*" || tree === undefined) return null;
  const reader = new MapReader(context);
  if (Array.isArray(input)) return reader.list(input, tree);
  return reader.mapping(input, tree);
}

export interface MapContext {
  /** `["syncs", NAME, "map"]` */
  readonly path: Path;
  readonly mode: Mode;
  readonly flaws: Flaw[];
}

class MapReader {
  readonly #context: MapContext;

  constructor(context: MapContext) {
    this.#context = context;
  }

  list(columns: readonly string[], tree: Tree): readonly FieldMapping[] {
    if (columns.length === 0) this.#noFields(tree.place);
    const seen = new Set<string>();
    return columns.map((column, i) => {
      const place = valueAt(tree, [i])?.place ?? tree.place;
      if (column === "*")
        this.#flaw(place, [i], "a list of columns cannot hold `*`", 'write `map: "*"`, or leave `map` out.');
      if (seen.has(column))
        this.#flaw(place, [i], `${nameOf(this.#context.path)} lists a column twice`, "remove one of the two.");
      seen.add(column);
      return { field: column, null: "send", as: null, at: placeText(place), ...this.#column(column, place, [i]) };
    });
  }

  mapping(fields: Exclude<MapInput, "*" | string[]>, tree: Tree): readonly FieldMapping[] {
    // In the file's order, which an object would not keep: it puts a field named `1` first.
    const entries = tree.kind === "map" ? [...tree.entries] : [];
    if (entries.length === 0) this.#noFields(tree.place);
    const mappings: FieldMapping[] = [];
    for (const [name, { key, value }] of entries) {
      const input = fields[name];
      if (input === undefined) continue;
      if (name === "")
        this.#flaw(key, [name], "a field's name is empty", "write the destination's field before the `:`.");
      const at = placeText(key);
      const code = codeOf(value) ?? codeOf(valueAt(value, ["template"]));
      if (code !== null) {
        const { null: nulls = "send", as = null } = typeof input === "string" ? {} : input;
        mappings.push({ field: name, null: nulls, as, at, kind: "code", code });
        if (typeof input !== "string" && (input.column ?? input.value) !== undefined)
          this.#field(name, input, value, key, at);
        continue;
      }
      if (typeof input === "string") {
        mappings.push({ field: name, null: "send", as: null, at, ...this.#column(input, value.place, [name]) });
        continue;
      }
      const mapping = this.#field(name, input, value, key, at);
      if (mapping !== null) mappings.push(mapping);
    }
    return mappings;
  }

  #field(name: string, input: FieldInput, tree: Tree, key: Place, at: string): FieldMapping | null {
    const given = (["column", "value", "template"] as const).filter((kind) => input[kind] !== undefined);
    const label = nameOf([...this.#context.path, name]);
    if (given.length !== 1) {
      const what =
        given.length === 0
          ? "needs one of `column`, `value` and `template`"
          : `has ${given.map((kind) => `\`${kind}\``).join(" and ")}; it can have one`;
      this.#flaw(key, [name], `${label} ${what}`, `write, for example, \`${name}: { column: ${name} }\`.`);
      return null;
    }
    const place = (step: string): Place => valueAt(tree, [step])?.place ?? key;
    const base = { field: name, null: input.null ?? "send", as: input.as ?? null, at } as const;
    if (input.column !== undefined)
      return { ...base, ...this.#column(input.column, place("column"), [name, "column"]) };
    if (input.template !== undefined) {
      const template = valueAt(tree, ["template"]) ?? tree;
      checkTemplate(template, [...this.#context.path, name, "template"], this.#context.flaws);
      return { ...base, kind: "template", template: input.template };
    }
    for (const extra of ["null", "as"] as const) {
      if (input[extra] === undefined) continue;
      const message = `${label} has \`${extra}\` beside \`value\`, where it means nothing`;
      this.#flaw(place(extra), [name, extra], message, "remove it; write the value as it is to be sent.");
    }
    checkNumber(valueAt(tree, ["value"]), [...this.#context.path, name, "value"], this.#context.flaws);
    return { ...base, kind: "constant", value: input.value ?? null };
  }

  #column(
    text: string,
    place: Place,
    path: Path,
  ): { readonly kind: "column"; readonly column: string; readonly old: boolean } {
    if (!text.startsWith("old.")) return { kind: "column", column: text, old: false };
    if (this.#context.mode !== "event") {
      const message = `${nameOf([...this.#context.path, ...path])} reads an old value, which only mode \`event\` has`;
      this.#flaw(place, path, message, `write \`${text.slice(4)}\`, or set \`mode: event\`.`);
    }
    if (text === "old.")
      this.#flaw(place, path, `${nameOf([...this.#context.path, ...path])} names no column`, "write `old.COLUMN`.");
    return { kind: "column", column: text.slice(4), old: true };
  }

  #noFields(place: Place): void {
    this.#flaw(
      place,
      [],
      `${nameOf(this.#context.path)} maps no field`,
      "map at least one, or leave `map` out to send every column.",
    );
  }

  #flaw(place: Place, path: Path, message: string, fix: string): void {
    this.#context.flaws.push({ place, path: [...this.#context.path, ...path], message, fix });
  }
}

function codeOf(tree: Tree | undefined): RowCode | null {
  return tree?.kind === "scalar" ? (tree.code ?? null) : null;
}

/** A number that would lose digits on its way is refused rather than changed. */
export function checkNumber(tree: Tree | undefined, path: Path, flaws: Flaw[]): void {
  if (tree?.kind !== "scalar" || typeof tree.value !== "number") return;
  if (!Number.isInteger(tree.value) || Number.isSafeInteger(tree.value)) return;
  const message = `${nameOf(path)} has more digits than a number can hold exactly`;
  flaws.push({ place: tree.place, path, message, fix: `put it in quotes: \`"${tree.written}"\`.` });
}
