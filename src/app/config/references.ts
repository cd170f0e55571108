import type { SectionName, Sections } from "./sections.ts";
import { closest } from "../../contracts/did-you-mean.ts";
import { quotedList } from "./suggest.ts";
import { type Entry, entryOf, type Flaw, inside, nameOf, type Path, type Tree } from "./tree.ts";
import { shown } from "./wording.ts";

const SECTIONS: readonly SectionName[] = ["sources", "models", "destinations", "syncs"];

/** Whether what one thing names in another section is there. */
export class References {
  readonly #sections: Sections;
  readonly #flaws: Flaw[];

  constructor(sections: Sections, flaws: Flaw[]) {
    this.#sections = sections;
    this.#flaws = flaws;
  }

  /** True when `key` names a thing of `section`. A key that is missing or not a text is reported by the schema. */
  check(path: Path, entry: Entry, key: string, section: SectionName): boolean {
    return this.checkValue([...path, key], entryOf(entry.value, key)?.value, section);
  }

  checkValue(fullPath: Path, value: Tree | undefined, section: SectionName): boolean {
    if (value?.kind !== "scalar" || value.broken || typeof value.value !== "string") return false;
    const name = value.value;
    const declared = this.#sections.declared[section];
    if (declared.has(name)) return true;
    const kind = section.slice(0, -1);
    const place = value.place;
    if (value.variables.length > 0) {
      const message = `${nameOf(fullPath)} is the value of the variable ${quotedList(value.variables)}, and no ${kind} has that name`;
      this.#flaws.push({
        place,
        path: fullPath,
        message,
        fix: `set the variable to ${quotedList([...declared], "or")}.`,
      });
      return false;
    }
    const near = closest(name, declared);
    const suggestion = near === null ? "" : `; did you mean \`${near}\`?`;
    const message = `there is no ${kind} ${shown(name)}, which ${nameOf(fullPath)} names${suggestion}`;
    this.#flaws.push({ place, path: fullPath, message, fix: this.#fix(name, fullPath, section, near) });
    return false;
  }

  #fix(name: string, path: Path, section: SectionName, near: string | null): string {
    const key = path.findLast((step) => typeof step === "string");
    if (near !== null)
      return `write \`${key === path.at(-1) ? `${key}: ` : ""}${near}\`, or declare ${shown(name)} under \`${section}:\`.`;
    const elsewhere = SECTIONS.find((other) => this.#sections.declared[other].has(name));
    const declared = [...this.#sections.declared[section]];
    if (elsewhere !== undefined)
      return `${shown(name)} is a ${elsewhere.slice(0, -1)}; \`${key}:\` names a ${section.slice(0, -1)}: ${quotedList(declared, "or")}.`;
    if (declared.length === 0) return `declare it under \`${section}:\`; there is none yet.`;
    return `declare it under \`${section}:\`, or use ${quotedList(declared, "or")}.`;
  }
}

/** Says that a source or destination names no connector that exists. */
export function unknownType(path: Path, entry: Entry, types: readonly string[], flaws: Flaw[]): void {
  const kind = path[0] === "sources" ? "source" : "destination";
  const type = entryOf(entry.value, "type");
  const fix = `use ${types.length === 1 ? "" : "one of "}${quotedList(types)}.`;
  const fullPath = [...path, "type"];
  const flaw = (message: string, place = entry.key, better = fix): void => {
    flaws.push({ place, path: fullPath, message, fix: better });
  };
  if (type === undefined) {
    const near = entry.value.kind === "map" ? closest("type", entry.value.entries.keys()) : null;
    if (near !== null)
      flaw(
        `unknown key \`${near}\` ${inside(path)}; did you mean \`type\`?`,
        entryOf(entry.value, near)?.key,
        `write \`type:\` instead.`,
      );
    else
      flaw(
        `missing key \`type\` ${inside(path)}`,
        entry.key,
        `add \`type: ${types[0] ?? "…"}\`${types.length > 1 ? `; there are ${quotedList(types)}` : ""}.`,
      );
    return;
  }
  const { value } = type;
  if (value.kind !== "scalar" || typeof value.value !== "string") {
    flaw(`${nameOf(fullPath)} must be the name of a connector`, value.place);
  } else if (value.variables.length > 0) {
    flaw(
      `${nameOf(fullPath)} is the value of the variable ${quotedList(value.variables)}, and no ${kind} type has that name`,
      value.place,
    );
  } else {
    const near = closest(value.value, types);
    const suggestion = near === null ? "" : `; did you mean \`${near}\`?`;
    flaw(
      `there is no ${kind} type ${shown(value.value)}${suggestion}`,
      value.place,
      near === null ? fix : `write \`type: ${near}\`${types.length > 1 ? `; there are ${quotedList(types)}` : ""}.`,
    );
  }
}
