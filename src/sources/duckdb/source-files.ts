// Which files a source has, and which of them each model reads.
import { basename, resolve } from "node:path";
import type { Model } from "../../contracts/model.ts";
import { type Dependencies, dependenciesOf } from "./dependencies.ts";
import type { Watched } from "./file-watch.ts";
import { label } from "./models.ts";
import type { Readings } from "./readings.ts";
import { formatOf, placeOf } from "./views.ts";

export class SourceFiles {
  readonly #readings: Readings;
  /** By the SQL. */
  readonly #dependencies = new Map<string, Dependencies | null>();
  /** Files that queries name themselves. */
  readonly #named = new Set<string>();

  constructor(readings: Readings) {
    this.#readings = readings;
  }

  /** Everything whose changes are told, as things are now. */
  async all(): Promise<readonly Watched[]> {
    const { settings, baseDirectory } = this.#readings;
    const { database, views } = await placeOf(settings, baseDirectory);
    const found: Watched[] = views.map(({ name, patterns }) => ({ kind: "view", name, patterns, settles: true }));
    if (database !== null) found.push(databaseFile("database", basename(database), database));
    for (const [name, path] of Object.entries(settings.attach))
      found.push(databaseFile("attached", name, resolve(baseDirectory, path)));
    for (const name of this.#named)
      found.push({ kind: "file", name, patterns: [resolve(baseDirectory, name)], settles: formatOf(name) !== null });
    return found;
  }

  /** Those that the model may read. A table that is not known here is the database's, and may be a view of several. */
  async of(model: Model, signal: AbortSignal): Promise<readonly Watched[]> {
    const dependencies = await this.dependencies(model, signal);
    for (const file of dependencies?.files ?? []) this.#named.add(file);
    const all = await this.all();
    if (dependencies === null) return all;
    return all.filter(({ kind, name }) => {
      if (kind === "view") return dependencies.tables.has(name.toLowerCase());
      if (kind === "attached") return dependencies.qualifiers.has(name.toLowerCase());
      return kind === "database" || dependencies.files.includes(name);
    });
  }

  /** null: not known, it may be anything. */
  async dependencies(model: Model, signal: AbortSignal): Promise<Dependencies | null> {
    if (model.kind === "table") {
      const { namespace, name } = model.table;
      const qualifiers = new Set(namespace === null ? [] : [namespace.toLowerCase()]);
      return { tables: new Set([name.toLowerCase()]), qualifiers, files: [], unsteady: [] };
    }
    let found = this.#dependencies.get(model.sql);
    if (found === undefined) {
      found = await this.#readings.run(label(model), new Set(), signal, (database) =>
        dependenciesOf(database, model.sql),
      );
      this.#dependencies.set(model.sql, found);
    }
    return found;
  }
}

function databaseFile(kind: "database" | "attached", name: string, path: string): Watched {
  return { kind, name, patterns: [path, `${path}.wal`], settles: false };
}
