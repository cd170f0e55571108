// Opening what is read, for as long as it is read: while DuckDB has a database file open, nobody else can write to it.
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { TailraceError } from "../../contracts/errors.ts";
import { type Database, interruptible, openDatabase } from "../../kit/duckdb/database.ts";
import { lockFile } from "../../kit/duckdb/file-locks.ts";
import { loadDuckdb } from "../../kit/duckdb/library.ts";
import { quoteIdentifier, quoteLiteral } from "../../kit/sql.ts";
import { seeFiles } from "./files.ts";
import type { Settings } from "./settings.ts";
import { asSourceError } from "./source-error.ts";
import { placeOf, type View, viewSql } from "./views.ts";

export class Readings {
  readonly settings: Settings;
  /** Where relative paths start, those in SQL too. */
  readonly baseDirectory: string;

  constructor(settings: Settings, baseDirectory: string) {
    this.settings = settings;
    this.baseDirectory = baseDirectory;
  }

  /**
   * Runs `work` on everything that is configured, read only. `tables`: names in small letters of those that are needed; null: all.
   * `what` names the model in errors.
   */
  async run<T>(
    what: string,
    tables: ReadonlySet<string> | null,
    signal: AbortSignal,
    work: (database: Database) => Promise<T>,
  ): Promise<T> {
    const duckdb = await loadDuckdb("source.config");
    const place = await placeOf(this.settings, this.baseDirectory);
    const attached = Object.entries(this.settings.attach).map(
      ([name, path]) => [name, resolve(this.baseDirectory, path)] as const,
    );
    await using stack = new AsyncDisposableStack();
    for (const path of [...(place.database === null ? [] : [place.database]), ...attached.map(([, each]) => each)]) {
      if ((await stat(path).catch(() => null)) === null)
        throw new TailraceError("source.unreachable", `there is no database file ${path}`);
      const unlock = await lockFile(path, "read", signal);
      stack.defer(unlock);
    }
    const broken = new Map<string, TailraceError>();
    try {
      const database = await openDatabase(duckdb, place.database, "READ_ONLY", this.settings);
      stack.defer(() => database.close());
      return await interruptible(database.connection, signal, async () => {
        await database.rows(`SET file_search_path = ${quoteLiteral(this.baseDirectory)}`);
        for (const [name, path] of attached)
          await database.rows(`ATTACH ${quoteLiteral(path)} AS ${quoteIdentifier(name)} (READ_ONLY)`);
        for (const view of place.views) {
          if (tables !== null && !tables.has(view.name.toLowerCase())) continue;
          const error = await makeView(database, view);
          if (error !== null) broken.set(view.name.toLowerCase(), error);
        }
        return await work(database);
      });
    } catch (error) {
      signal.throwIfAborted();
      const ours = asSourceError(error, what);
      // A table that could not be made is the cause, and whether it lasts is known of it alone.
      const missing = /Table with name (.+) does not exist/.exec(ours.message)?.[1] ?? "";
      throw broken.get(missing.toLowerCase()) ?? ours;
    }
  }
}

async function makeView(database: Database, view: View): Promise<TailraceError | null> {
  const { files } = await seeFiles(view.patterns);
  if (files.length === 0)
    return new TailraceError("source.data", `table ${view.name}: there is no file at ${view.patterns.join(", ")}`);
  try {
    await database.rows(viewSql(view, files));
    return null;
  } catch (error) {
    return asSourceError(error, `table ${view.name}`);
  }
}
