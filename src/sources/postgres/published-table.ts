// The models' tables as far as publishing and reading them goes.
import type pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import type { TableModel } from "../../contracts/model.ts";
import { type TableInfo, describeTable } from "./catalog.ts";
import { type DescribeOptions, describe } from "./describe.ts";

/** A table that models read, as their own rows or by a query. */
export interface PublishedTable {
  readonly oid: string;
  readonly namespace: string;
  readonly name: string;
  /** The name, quoted. */
  readonly sql: string;
  readonly info: TableInfo;
  /** One whose rows are the table's; its key is that of all of them. null: only queries read it. */
  readonly model: TableModel | null;
  /** Names of all that read it. */
  readonly models: readonly string[];
  /** The table, or those of its partitions, whose updates would fail once published; quoted names. */
  readonly withoutIdentity: readonly string[];
}

/** The models of a source: those of tables, and what the queries read. */
export interface ReadModels {
  readonly tables: readonly TableModel[];
  /** Names of the queries by the OID of each table whose changes are to be told. */
  readonly bases: ReadonlyMap<string, readonly string[]>;
  /** What each query means, by name. */
  readonly meanings: ReadonlyMap<string, string>;
}

/**
 * The models' tables, by OID. Throws `source.model` when one is missing or its rows are not in the log, and
 * `source.config` when two models cannot be read by one stream.
 */
export async function findTables(
  client: pg.Client,
  models: ReadModels,
  options: DescribeOptions,
): Promise<ReadonlyMap<string, PublishedTable>> {
  const tables = new Map<string, PublishedTable>();
  const keys = new Map<string, string>();
  for (const model of models.tables) {
    const { table, relation } = await describe(client, model, options);
    const key = relation.key.map((place) => relation.columns[place]!.name).join(", ");
    const other = tables.get(table.oid);
    if (other && keys.get(table.oid) !== key) {
      throw new TailraceError(
        "source.config",
        `the models ${other.models.join(", ")} and ${model.name} name different keys for ${table.sql}`,
      );
    }
    keys.set(table.oid, key);
    tables.set(table.oid, published(table, model, [...(other?.models ?? []), model.name]));
  }
  for (const [oid, queries] of models.bases) {
    const known = tables.get(oid);
    // Dropped since the queries were looked at: they will say so.
    const info = known?.info ?? (await describeTable(client, { oid }));
    if (info) tables.set(oid, published(info, known?.model ?? null, [...(known?.models ?? []), ...queries]));
  }
  for (const { sql, info } of tables.values()) {
    if (info.root && tables.has(info.root.oid)) {
      throw new TailraceError(
        "source.config",
        `${sql} is a partition of ${info.root.sql}, and both are read: the log names rows of the one under the other. ` +
          "Use two sources for them",
      );
    }
  }
  return tables;
}

function published(info: TableInfo, model: TableModel | null, models: readonly string[]): PublishedTable {
  const { oid, namespace, name, sql, leaves } = info;
  const withoutIdentity = leaves.filter((leaf) => leaf.replicaIdentity.columns.length === 0).map((leaf) => leaf.sql);
  return { oid, namespace, name, sql, info, model, models, withoutIdentity };
}
