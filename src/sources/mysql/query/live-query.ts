// From changes of its tables to the keys of a model that they can affect.
import type { Affected, LiveQuery } from "../../../contracts/capture.ts";
import type { Change } from "../../../contracts/change.ts";
import type { KeyValues } from "../../../contracts/source.ts";
import {
  ALL,
  Found,
  type Needed,
  neededValues,
  partialPlacesOf,
  relationsOf,
} from "../../../kit/live-query/affected.ts";
import type { Connection, RawRow } from "../connection.ts";
import type { RelationSource } from "../relation-source.ts";
import { resultColumn } from "../result-columns.ts";
import { serverErrorNumber } from "../source-error.ts";
import { keyColumns, valuesSql } from "../values-sql.ts";
import type { Snapshot } from "../visibility.ts";
import type { ReadColumn } from "../columns.ts";
import type { MysqlReference } from "./affected-sql.ts";
import type { LiveAnalysis } from "./analyse.ts";

/** Values, or keys, in one statement. */
const ONE_STATEMENT = 500;
/** No such column, table or database; a view that is wrong now; a table that was altered since the snapshot. */
const ALTERED: ReadonlySet<number> = new Set([1054, 1051, 1146, 1049, 1356, 1412]);

export type InSnapshot = <T>(
  signal: AbortSignal,
  work: (connection: Connection, snapshot: Snapshot) => Promise<T>,
) => Promise<T>;

export class MysqlLiveQuery implements LiveQuery {
  readonly relations: ReadonlySet<string>;
  readonly partialPlaces: readonly (readonly number[])[];
  readonly #source: RelationSource;
  readonly #references: readonly MysqlReference[];
  readonly #inSnapshot: InSnapshot;

  constructor(source: RelationSource, analysis: LiveAnalysis, inSnapshot: InSnapshot) {
    this.relations = relationsOf(analysis);
    this.partialPlaces = partialPlacesOf(analysis.references);
    this.#source = source;
    this.#references = analysis.references;
    this.#inSnapshot = inSnapshot;
  }

  async affected(changes: readonly Change[], signal: AbortSignal): Promise<Affected> {
    return (await this.find(changes, signal)) ?? ALL;
  }

  /** Also everything, when a change does not tell an old value that is needed. null: what it reads was altered. */
  async find(changes: readonly Change[], signal: AbortSignal): Promise<Affected | null> {
    if (changes.some(({ op }) => op === "truncate" || op === "touched")) return ALL;
    const byRelation = Map.groupBy(changes, ({ relation }) => relation.id);
    const found = new Found(this.#source.relation.key.length);
    const asked: { readonly reference: MysqlReference; readonly needed: Needed }[] = [];
    for (const reference of this.#references) {
      const needed = neededValues(reference, byRelation.get(reference.table.id) ?? []);
      if (needed === null) return ALL;
      if (needed.size === 0) continue;
      if (reference.direct) for (const values of needed.values()) found.addDirect(reference, values);
      else asked.push({ reference, needed });
    }
    // What the changes say themselves is the same in any snapshot.
    if (asked.length === 0 && found.partials().length === 0) return found.result(() => true);
    return this.#inSnapshot(signal, async (connection, snapshot) => {
      try {
        for (const { reference, needed } of asked) await this.#ask(connection, reference, needed, found);
        for (const { places, values } of found.partials()) await this.#present(connection, places, values, found);
      } catch (error) {
        if (ALTERED.has(serverErrorNumber(error) ?? 0)) return null;
        throw error;
      }
      return found.result((transaction) => snapshot.sees(transaction));
    });
  }

  async #ask(connection: Connection, reference: MysqlReference, needed: Needed, found: Found): Promise<void> {
    const rows = [...needed.values()];
    for (let at = 0; at < rows.length; at += ONE_STATEMENT) {
      let columns: readonly ReadColumn[] = [];
      await connection.stream(reference.sql!(rows.slice(at, at + ONE_STATEMENT)), {
        columns: (described) => (columns = described.map(resultColumn)),
        row: (row) => found.add(reference, textsOf(row, columns)),
      });
    }
  }

  /** Keys with these parts that the model has now: they may never have been sent. */
  async #present(
    connection: Connection,
    places: readonly number[],
    values: readonly KeyValues[],
    found: Found,
  ): Promise<void> {
    const key = keyColumns(this.#source);
    const known = places.map((place) => key[place]!);
    const selected = key.map((column) => column.select("t")).join(", ");
    for (let at = 0; at < values.length; at += ONE_STATEMENT) {
      const where = valuesSql(known, values.slice(at, at + ONE_STATEMENT));
      await connection.stream(`SELECT ${selected} FROM ${this.#source.from} WHERE ${where}`, {
        row: (row) => {
          if (!row.includes(null)) found.addKey(textsOf(row, key));
        },
      });
    }
  }
}

function textsOf(row: RawRow, columns: readonly ReadColumn[]): KeyValues {
  return row.map((bytes, i) => columns[i]!.text(bytes!));
}
