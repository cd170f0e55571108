import { isShownStray } from "./discretion.ts";
import { project } from "./schema.ts";
import { isName } from "./schema-walk.ts";
import { type Entry, type Flaw, type MapTree, type Path, subject, type Tree } from "./tree.ts";
import { found, unknownKey } from "./wording.ts";

export type SectionName = "sources" | "models" | "destinations" | "syncs" | "alerts";

/** The named things of each section: those that are mappings, under whatever name. */
export type Sections = Readonly<Record<SectionName, ReadonlyMap<string, Entry>>> & {
  /** Every name that is declared, also where what it names is wrong. */
  readonly declared: Readonly<Record<SectionName, ReadonlySet<string>>>;
};

const EXAMPLES: Readonly<Record<SectionName, string>> = {
  sources: "{ type: postgres, url: ${DATABASE_URL} }",
  models: "{ source: SOURCE, table: public.users }",
  destinations: "{ type: webhook, url: https://example.com/in }",
  syncs: "{ model: MODEL, destination: DESTINATION }",
  alerts: "{ type: slack, url: ${SLACK_URL} }",
};

export function readSections(tree: MapTree, flaws: Flaw[]): Sections {
  const known = Object.keys(project.shape);
  for (const [name, entry] of tree.entries) {
    // Room for anchors, as Compose files have it.
    if (name.startsWith("x-") || known.includes(name)) continue;
    const { message, fix } = unknownKey([name], known);
    const section = sectionFor(entry);
    const better = section === null ? fix : `indent it, so that it stands under \`${section}:\`.`;
    flaws.push({ place: entry.key, path: [name], message, fix: better });
  }
  const declared = {
    sources: new Set<string>(),
    models: new Set<string>(),
    destinations: new Set<string>(),
    syncs: new Set<string>(),
    alerts: new Set<string>(),
  };
  const read = (name: SectionName): ReadonlyMap<string, Entry> =>
    readSection(name, tree.entries.get(name), declared[name], flaws);
  return {
    sources: read("sources"),
    models: read("models"),
    destinations: read("destinations"),
    syncs: read("syncs"),
    alerts: read("alerts"),
    declared,
  };
}

function isHiddenStray(section: SectionName, value: Tree): boolean {
  return value.kind !== "scalar" || !isShownStray(section, value.written);
}

/** The section that a thing outside of any was meant for, by its keys. */
function sectionFor({ value }: Entry): SectionName | null {
  if (value.kind !== "map") return null;
  if (value.entries.has("model") || value.entries.has("destination")) return "syncs";
  return value.entries.has("source") || value.entries.has("table") ? "models" : null;
}

function readSection(
  section: SectionName,
  entry: Entry | undefined,
  declared: Set<string>,
  flaws: Flaw[],
): ReadonlyMap<string, Entry> {
  const things = new Map<string, Entry>();
  if (entry === undefined) return things;
  const { value } = entry;
  const flaw = (at: Entry | null, path: Path, message: string, fix: string): void => {
    flaws.push({ place: (at ?? entry).key, path, message, fix });
  };
  if (value.kind !== "map") {
    if (value.kind === "scalar" && value.broken) return things;
    if (value.kind === "scalar" && value.written === "") {
      flaw(
        null,
        [section],
        `\`${section}\` is empty`,
        `add one, indented, as \`NAME: ${EXAMPLES[section]}\`; \`${section}: {}\` says that none is meant.`,
      );
    } else {
      const message = `\`${section}\` must be a mapping of names; found ${found(value, isHiddenStray(section, value))}`;
      flaws.push({
        place: value.place,
        path: [section],
        message,
        fix: `write \`NAME: ${EXAMPLES[section]}\`, indented under it.`,
      });
    }
    return things;
  }
  for (const [name, thing] of value.entries) {
    declared.add(name);
    const path = [section, name];
    if (!isName(name)) flaw(thing, path, ...badName(section, name));
    if (thing.value.kind === "map") things.set(name, thing);
    else if (thing.value.kind === "scalar" && thing.value.broken) continue;
    else if (thing.value.kind === "scalar" && thing.value.written === "") {
      flaw(
        thing,
        path,
        `${String(subject(path))} is empty`,
        `write \`${name}: ${EXAMPLES[section]}\`; its keys are indented under it.`,
      );
    } else {
      const message = `${String(subject(path))} must be a mapping; found ${found(thing.value, isHiddenStray(section, thing.value))}`;
      flaws.push({ place: thing.value.place, path, message, fix: `write \`${name}: ${EXAMPLES[section]}\`.` });
    }
  }
  return things;
}

function badName(section: SectionName, name: string): [message: string, fix: string] {
  const kind = section.slice(0, -1);
  const why =
    name.length > 63
      ? "is longer than 63 characters"
      : /^[A-Z]/.test(name)
        ? "has capital letters"
        : /^[^a-z]/.test(name)
          ? "does not begin with a letter a-z"
          : "has a character other than a-z, 0-9, `_` and `-`";
  const better = name
    .normalize("NFKD")
    .replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2")
    .toLowerCase()
    .replaceAll(/[\u0300-\u036F]/g, "")
    .replaceAll(/[^a-z0-9_-]+/g, "_")
    .replace(/^[^a-z]+/, "")
    .slice(0, 63);
  const fix = isName(better) ? `rename it, for example to \`${better}\`.` : `rename it, for example to \`${kind}_1\`.`;
  return [`the ${kind} name \`${name.slice(0, 80)}\` ${why}`, fix];
}
