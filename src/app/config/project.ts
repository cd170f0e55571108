import type { z } from "zod";
import type { DestinationConnector } from "../../contracts/destination.ts";
import type { SourceConnector } from "../../contracts/source.ts";
import type { Sync } from "../../contracts/sync.ts";
import type { Connectors } from "../connectors.ts";
import type { DbtOrigin } from "../dbt/model.ts";
import { alert as alertSchema } from "./alert-schema.ts";
import { checkValue } from "./check-value.ts";
import type { ConfiguredAlert, ConfiguredDestination, ConfiguredSource } from "./config.ts";
import { type ConfiguredModel, type DbtSection, ModelReader, type NamedFiles } from "./model.ts";
import { placeText } from "./problem.ts";
import { References, unknownType } from "./references.ts";
import { dbt as dbtSchema, model as modelSchema } from "./model-schema.ts";
import { destinationBase, project as projectSchema, sourceBase, sync as syncSchema } from "./schema.ts";
import { type Choice, choices } from "./schema-walk.ts";
import { type Discretion, discretionAt, type Shown, showName, showStray, showTree } from "./discretion.ts";
import { readSections } from "./sections.ts";
import { joinSync, readSync } from "./sync.ts";
import { type Entry, entryOf, type Flaw, hasBroken, type MapTree, type Path, type Place, type Tree } from "./tree.ts";

const top = projectSchema.pick({ name: true, state: true, log: true, failures: true, history: true });

export interface ReadProject {
  readonly project: z.output<typeof top>;
  readonly sources: ReadonlyMap<string, ConfiguredSource>;
  readonly destinations: ReadonlyMap<string, ConfiguredDestination>;
  readonly models: ReadonlyMap<string, ConfiguredModel>;
  /** null: there is no `dbt:` section. `manifest`: as it is written. */
  readonly dbt: { readonly manifest: string; readonly models: ReadonlyMap<string, DbtOrigin> } | null;
  readonly syncs: readonly Sync[];
  readonly alerts: readonly ConfiguredAlert[];
  /** What messages may show. */
  readonly shown: Shown;
}

export interface Reading {
  readonly connectors: Connectors;
  readonly files: NamedFiles;
  /** Gets everything that is wrong. The result is whole only when nothing was added. */
  readonly flaws: Flaw[];
}

/** Checks the whole tree, part by part, so that one wrong part does not hide what is wrong in another. */
export async function readProject(tree: MapTree, reading: Reading): Promise<ReadProject> {
  return new ProjectReader(tree, reading).read();
}

class ProjectReader {
  readonly #flaws: Flaw[];
  readonly #connectors: Connectors;
  readonly #files: NamedFiles;
  readonly #tree: MapTree;
  readonly #shown: Shown = { places: [], hiddenKeys: new Set() };
  readonly #sources = new Map<string, ConfiguredSource>();
  readonly #destinations = new Map<string, ConfiguredDestination>();
  /** Also of destinations whose settings are wrong: their syncs' options can still be checked. */
  readonly #destinationConnectors = new Map<string, DestinationConnector>();
  readonly #models = new Map<string, ConfiguredModel>();
  readonly #syncs: Sync[] = [];
  readonly #alerts: ConfiguredAlert[] = [];

  constructor(tree: MapTree, reading: Reading) {
    this.#tree = tree;
    this.#flaws = reading.flaws;
    this.#connectors = reading.connectors;
    this.#files = reading.files;
  }

  async read(): Promise<ReadProject> {
    const sections = readSections(this.#tree, this.#flaws);
    this.#showNames();
    const references = new References(sections, this.#flaws);
    const checkedTop = await this.#check(
      top,
      without(
        this.#tree,
        [...this.#tree.entries.keys()].filter((key) => !Object.hasOwn(top.shape, key)),
      ),
      [],
      this.#tree.place,
    );
    for (const [name, entry] of sections.sources) await this.#source(name, entry);
    for (const [name, entry] of sections.destinations) await this.#destination(name, entry);
    const dbt = await this.#dbt();
    const models = new ModelReader({ flaws: this.#flaws, shown: this.#shown, files: this.#files, dbt });
    for (const [name, entry] of sections.models) await this.#model(name, entry, references, models);
    for (const [name, entry] of sections.syncs) await this.#sync(name, entry, references);
    for (const [name, entry] of sections.alerts) await this.#alert(name, entry, references);
    return {
      project: checkedTop ?? top.parse({}),
      sources: this.#sources,
      destinations: this.#destinations,
      models: this.#models,
      dbt:
        dbt?.manifest === undefined || dbt.manifest === null
          ? null
          : { manifest: dbt.manifest, models: models.origins },
      syncs: this.#syncs,
      alerts: this.#alerts,
      shown: this.#shown,
    };
  }

  #showNames(): void {
    for (const section of this.#tree.entries.values()) {
      showName(section, this.#shown);
      if (!Object.hasOwn(projectSchema.shape, section.name) || Object.hasOwn(top.shape, section.name)) continue;
      if (section.value.kind !== "map") {
        showStray(section, this.#shown);
        continue;
      }
      for (const thing of section.value.entries.values()) showName(thing, this.#shown);
    }
  }

  async #source(name: string, entry: Entry): Promise<void> {
    const path = ["sources", name];
    const connector = await this.#connector(path, entry, {
      list: () => this.#connectors.listSources(),
      load: (type) => this.#connectors.loadSource(type),
    });
    if (connector === null) return;
    const base = await this.#check(sourceBase, only(entry.value, sourceBase), path, entry.key);
    const settings = await this.#settings(connector, sourceBase, path, entry);
    if (base === undefined || settings === undefined) return;
    this.#sources.set(name, { name, type: base.type, settings: settings.value, connector, at: placeText(entry.key) });
  }

  async #destination(name: string, entry: Entry): Promise<void> {
    const path = ["destinations", name];
    const base = await this.#check(
      destinationBase.omit({ type: true }),
      only(entry.value, destinationBase, "type"),
      path,
      entry.key,
    );
    const connector = await this.#connector(path, entry, {
      list: () => this.#connectors.listDestinations(),
      load: (type) => this.#connectors.loadDestination(type),
    });
    if (connector === null) return;
    this.#destinationConnectors.set(name, connector);
    const settings = await this.#settings(connector, destinationBase, path, entry);
    if (base === undefined || settings === undefined) return;
    const { rate = null, concurrency = null } = base;
    this.#destinations.set(name, {
      name,
      type: connector.type,
      settings: settings.value,
      connector,
      rate,
      concurrency,
      at: placeText(entry.key),
    });
  }

  /** The connector that `type` names; null, with a flaw, when there is none. */
  async #connector<C extends SourceConnector | DestinationConnector>(
    path: Path,
    entry: Entry,
    room: { list(): Promise<readonly string[]>; load(type: string): Promise<C> },
  ): Promise<C | null> {
    const type = entryOf(entry.value, "type");
    this.#show(only(entry.value, sourceBase), choices(sourceBase), path);
    const types = await room.list();
    if (type?.value.kind === "scalar" && typeof type.value.value === "string" && types.includes(type.value.value)) {
      return room.load(type.value.value);
    }
    this.#show(without(entry.value, ["type"]), [], path);
    if (type !== undefined && hasBroken(type.value)) return null;
    unknownType(path, entry, types, this.#flaws);
    return null;
  }

  async #settings(
    connector: SourceConnector | DestinationConnector,
    base: typeof sourceBase | typeof destinationBase,
    path: Path,
    entry: Entry,
  ): Promise<{ readonly value: unknown } | undefined> {
    const common = Object.keys(base.shape);
    const rest = without(entry.value, common);
    this.#show(rest, choices(connector.settings), path);
    const checked = await checkValue(connector.settings, rest, { path, at: entry.key, alsoKnown: common });
    if (checked.ok) return { value: checked.value };
    this.#flaws.push(...checked.flaws);
    return undefined;
  }

  async #model(name: string, entry: Entry, references: References, reader: ModelReader): Promise<void> {
    const input = await this.#check(modelSchema, entry.value, ["models", name], entry.key);
    const source = references.check(["models", name], entry, "source", "sources");
    if (input === undefined) return;
    const model = await reader.read(name, entry, input);
    if (model !== null && source) this.#models.set(name, model);
  }

  async #dbt(): Promise<DbtSection | null> {
    const entry = this.#tree.entries.get("dbt");
    if (entry === undefined) return null;
    const section = await this.#check(dbtSchema, entry.value, ["dbt"], entry.key);
    return { at: entry.value.place, manifest: section?.manifest ?? null };
  }

  async #sync(name: string, entry: Entry, references: References): Promise<void> {
    const path = ["syncs", name];
    const input = await this.#check(syncSchema, entry.value, path, entry.key);
    const hasModel = references.check(path, entry, "model", "models");
    const hasDestination = references.check(path, entry, "destination", "destinations");
    const options = await this.#options(path, entry);
    if (input === undefined) return;
    const part = readSync(name, entry, input, this.#flaws);
    const model = this.#models.get(input.model);
    if (!hasModel || !hasDestination || model === undefined || options === undefined) return;
    const { at: _, ...bareModel } = model;
    this.#syncs.push(joinSync(part, bareModel, options.value));
  }

  async #alert(name: string, entry: Entry, references: References): Promise<void> {
    const path = ["alerts", name];
    const settings = await this.#check(alertSchema, entry.value, path, entry.key);
    const syncs = entryOf(entry.value, "syncs")?.value;
    if (syncs?.kind === "list")
      syncs.items.forEach((item, i) => references.checkValue([...path, "syncs", i], item, "syncs"));
    if (settings !== undefined) this.#alerts.push({ name, settings });
  }

  async #options(path: Path, entry: Entry): Promise<{ readonly value: unknown } | undefined> {
    const given = entryOf(entry.value, "options");
    const destination = entryOf(entry.value, "destination")?.value;
    const name = destination?.kind === "scalar" ? String(destination.value) : "";
    const connector = this.#destinationConnectors.get(name);
    if (connector === undefined) {
      return undefined;
    }
    // A value that is not a mapping was reported by the sync's own schema.
    if (given !== undefined && given.value.kind !== "map") return undefined;
    const tree: Tree = given?.value ?? { kind: "map", place: entry.key, entries: new Map() };
    this.#show(tree, choices(connector.sync), [...path, "options"]);
    const checked = await checkValue(connector.sync, tree, { path: [...path, "options"], at: given?.key ?? entry.key });
    if (checked.ok) return { value: checked.value };
    this.#flaws.push(...checked.flaws);
    return undefined;
  }

  async #check<S extends z.ZodType>(schema: S, tree: Tree, path: Path, at: Place): Promise<z.output<S> | undefined> {
    this.#show(without(tree, ["options"]), choices(schema), path);
    const options = entryOf(tree, "options");
    if (options !== undefined) this.#shown.places.push(options.key);
    const checked = await checkValue(schema, tree, { path, at });
    if (checked.ok) return checked.value;
    this.#flaws.push(...checked.flaws);
    return undefined;
  }

  #show(tree: Tree, options: readonly Choice[], path: Path): void {
    const discretion: Discretion = discretionAt(path);
    showTree(tree, options, discretion, this.#shown);
  }
}

function without(tree: Tree, keys: readonly string[]): Tree {
  if (tree.kind !== "map") return tree;
  return { ...tree, entries: new Map([...tree.entries].filter(([key]) => !keys.includes(key))) };
}

function only(tree: Tree, schema: typeof sourceBase | typeof destinationBase, except = ""): Tree {
  if (tree.kind !== "map") return tree;
  return {
    ...tree,
    entries: new Map([...tree.entries].filter(([key]) => Object.hasOwn(schema.shape, key) && key !== except)),
  };
}
