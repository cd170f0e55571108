// The models' tables as far as publishing and reading them goes.
import type pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import type { TableModel } from "../../contracts/model.ts";
import type { TableInfo } from "./catalog.ts";
import { type DescribeOptions, describe } from "./describe.ts";

/** A table that models read. */
export interface PublishedTable {
  readonly oid: string;
  readonly namespace: string;
  readonly name: string;
  /** The name, quoted. */
  readonly sql: string;
  readonly info: TableInfo;
  /** One that names it; its key is that of all of them. */
  readonly model: TableModel;
  /** Their names. */
  readonly models: readonly string[];
  /** The table, or those of its partitions, whose updates would fail once published; quoted names. */
  readonly withoutIdentity: readonly string[];
}

/**
 * The models' tables, by OID. Throws `source.model` when one is missing or its rows are not in the log, and
 * `source.config` when two models cannot be read by one stream.
 */
export async function findTables(
  client: pg.Client,
  models: readonly TableModel[],
  options: DescribeOptions,
): Promise<ReadonlyMap<string, PublishedTable>> {
  const tables = new Map<string, PublishedTable>();
  const keys = new Map<string, string>();
  for (const model of models) {
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
    tables.set(table.oid, {
      oid: table.oid,
      namespace: table.namespace,
      name: table.name,
      sql: table.sql,
      info: table,
      model,
      models: [...(other?.models ?? []), model.name],
      withoutIdentity: table.leaves.filter((leaf) => leaf.replicaIdentity.columns.length === 0).map((leaf) => leaf.sql),
    });
  }
  for (const { sql, info } of tables.values()) {
    if (info.root && tables.has(info.root.oid)) {
      throw new TailraceError(
        "source.config",
        `${sql} is a partition of ${info.root.sql}, and both are models: the log names rows of the one under the other. ` +
          "Use two sources for them",
      );
    }
  }
  return tables;
}
