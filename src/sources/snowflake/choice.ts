// How a model is read: by what it is, and by what the role may do.
import { TailraceError } from "../../contracts/errors.ts";
import type { Model } from "../../contracts/model.ts";
import { ourRights, type TableFacts, tableFacts } from "./metadata.ts";
import { folded, type ObjectName, OUR_SCHEMA, sqlName } from "./names.ts";
import type { SnowflakeSession, StatementOptions } from "./session.ts";
import type { Settings } from "./settings.ts";

export type Choice =
  | { readonly kind: "streams" | "changes"; readonly why: string; readonly facts: TableFacts }
  | { readonly kind: "rows"; readonly because: readonly string[] };

export async function choose(
  session: SnowflakeSession,
  settings: Settings,
  model: Model,
  table: ObjectName | null,
  options: StatementOptions,
): Promise<Choice> {
  if (table === null)
    return {
      kind: "rows",
      because: ["it is a query: Snowflake keeps history of tables and of views that are simple enough, not of queries"],
    };
  const facts = await tableFacts(session, table, options);
  if (facts === null)
    throw new TailraceError(
      "source.model",
      `${options.what}: there is no ${sqlName(table)}, or role ${settings.role} may not read it`,
    );
  const { feed } = settings;
  const role = folded(settings.role);
  const database = folded(settings.database);
  const rights = feed === "changes" ? null : await ourRights(session, database, role, options);
  if (rights !== null && (feed === "streams" || rights.missing.length === 0)) {
    const may =
      feed === "streams"
        ? "`feed: streams` is set"
        : `role ${role} may make streams and tables in ${database}.${OUR_SCHEMA}`;
    return { kind: "streams", why: `${may}: each change is read once, from a stream of our own`, facts };
  }
  const lacks =
    rights === null
      ? "`feed: changes` is set"
      : rights.exists
        ? `role ${role} has no ${rights.missing.join(" and no ")} in the schema ${database}.${OUR_SCHEMA}`
        : `there is no schema ${database}.${OUR_SCHEMA} for a stream and its outbox`;
  if (facts.tracked)
    return { kind: "changes", why: `${lacks}: its changes are read by Time Travel, without a right to write`, facts };
  if (facts.tracked)
    return {
      kind: "rows",
      because: [
        `${lacks}; and Time Travel keeps nothing of ${sqlName(table)} (its owner can change that: ALTER TABLE ${sqlName(table)} SET DATA_RETENTION_TIME_IN_DAYS = 1)`,
      ],
    };
  const word = facts.kind === "view" ? "VIEW" : "TABLE";
  return {
    kind: "rows",
    because: [
      `${lacks}; and changes of ${sqlName(table)} are not tracked (its owner can: ALTER ${word} ${sqlName(table)} SET CHANGE_TRACKING = TRUE)`,
    ],
  };
}
