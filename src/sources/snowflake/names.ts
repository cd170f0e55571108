// Names as SQL, and those of what is made in the schema TAILRACE.
import { createHash } from "node:crypto";
import type { TableModel } from "../../contracts/model.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import type { Settings } from "./settings.ts";

/** Where everything of ours is, and nothing else. */
export const OUR_SCHEMA = "TAILRACE";

/** A name without quotes means the one in capitals, as in Snowflake's SQL; one that could not be written so is taken as it stands. */
export function folded(name: string): string {
  return /^[A-Za-z_][\w$]*$/.test(name) ? name.toUpperCase() : name;
}

export interface ObjectName {
  readonly database: string;
  readonly schema: string;
  readonly name: string;
}

export function sqlName({ database, schema, name }: ObjectName): string {
  return [database, schema, name].map(quoteIdentifier).join(".");
}

/** For functions that take names as texts. */
export function nameText(name: ObjectName): string {
  return textLiteral(sqlName(name));
}

export function textLiteral(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

/** A namespace is a schema, or `database.schema`. */
export function tableOf(model: TableModel, settings: Settings): ObjectName {
  const { namespace, name } = model.table;
  const [schema = settings.schema, database = settings.database] = (namespace ?? settings.schema).split(".").reverse();
  return { database: folded(database), schema: folded(schema), name: folded(name) };
}

/** On each of our streams: whose it is. */
export function ownerText(project: string, source: string): string {
  return `Tailrace: project ${project}, source ${source}`;
}

/** What is ours of one model of one source of one project. */
export interface FeedNames {
  /** The part that all of them have. */
  readonly id: string;
  readonly stream: ObjectName;
  /** Where scans begin: streams whose names begin with this one. */
  readonly pin: ObjectName;
  readonly outbox: ObjectName;
  readonly feed: ObjectName;
}

/** Two models of one table are two feeds: each reads at its own pace. `database`: where the schema TAILRACE is. */
export function feedNames(
  owner: { readonly project: string; readonly source: string; readonly model: string },
  database: string,
  table: ObjectName,
  key: readonly string[],
): FeedNames {
  const digest = createHash("sha256")
    .update(JSON.stringify([owner.project, owner.source, owner.model, table.database, table.schema, table.name, key]))
    .digest("hex")
    .slice(0, 12)
    .toUpperCase();
  const id = `${table.name.replaceAll(/\W/g, "_").slice(0, 60)}_${digest}`;
  const ours = (kind: string): ObjectName => ({ database, schema: OUR_SCHEMA, name: `${kind}_${id}` });
  return { id, stream: ours("STREAM"), pin: ours("PIN"), outbox: ours("OUTBOX"), feed: ours("FEED") };
}
