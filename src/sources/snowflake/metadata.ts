// What SHOW says: answered by Snowflake's cloud services, without a warehouse.
import { quoteIdentifier } from "../../kit/sql.ts";
import { nameText, type ObjectName, OUR_SCHEMA, textLiteral } from "./names.ts";
import type { SnowflakeSession, StatementOptions } from "./session.ts";

export interface TableFacts {
  readonly kind: "table" | "dynamic table" | "view";
  /** Changes when it is made anew under the same name. */
  readonly createdOn: string;
  readonly tracked: boolean;
  /** Days of Time Travel; null: a view. */
  readonly retentionDays: number | null;
  readonly rows: number | null;
}

/** As SQL names it. */
export function kindWord({ kind }: TableFacts): "TABLE" | "DYNAMIC TABLE" | "VIEW" {
  return kind === "view" ? "VIEW" : kind === "dynamic table" ? "DYNAMIC TABLE" : "TABLE";
}

export interface StreamFacts {
  readonly createdOn: string;
  readonly stale: boolean;
  /** ms since the epoch. */
  readonly staleAfterMs: number;
  readonly invalid: string | null;
}

type Records = Record<string, string | null>[];

async function shown(
  session: SnowflakeSession,
  kind: "TABLES" | "VIEWS" | "STREAMS",
  { database, schema, name }: ObjectName,
  options: StatementOptions,
): Promise<Records[number] | null> {
  const place = `${quoteIdentifier(database)}.${quoteIdentifier(schema)}`;
  const found = await session.records(`SHOW ${kind} IN SCHEMA ${place} STARTS WITH ${textLiteral(name)}`, options);
  return found.find((record) => record["name"] === name) ?? null;
}

/** null: there is no such table or view, or we may not see it. */
export async function tableFacts(
  session: SnowflakeSession,
  table: ObjectName,
  options: StatementOptions,
): Promise<TableFacts | null> {
  const found = await shown(session, "TABLES", table, options);
  if (found !== null)
    return {
      kind: found["is_dynamic"] === "Y" ? "dynamic table" : "table",
      createdOn: found["created_on"]!,
      tracked: found["change_tracking"] === "ON",
      retentionDays: Number(found["retention_time"]),
      rows: found["rows"] === null ? null : Number(found["rows"]),
    };
  const view = await shown(session, "VIEWS", table, options);
  if (view === null) return null;
  return {
    kind: "view",
    createdOn: view["created_on"]!,
    tracked: view["change_tracking"] === "ON",
    retentionDays: null,
    rows: null,
  };
}

export async function streamFacts(
  session: SnowflakeSession,
  stream: ObjectName,
  options: StatementOptions,
): Promise<StreamFacts | null> {
  const found = await shown(session, "STREAMS", stream, options);
  if (found === null) return null;
  const invalid = found["invalid_reason"] ?? null;
  return {
    createdOn: found["created_on"]!,
    stale: found["stale"] === "true",
    staleAfterMs: Date.parse(found["stale_after"] ?? ""),
    invalid: invalid === "N/A" ? null : invalid,
  };
}

/** Streams in the schema TAILRACE whose names begin so. */
export async function ourStreams(
  session: SnowflakeSession,
  database: string,
  start: string,
  options: StatementOptions,
): Promise<Records> {
  const place = `${quoteIdentifier(database)}.${quoteIdentifier(OUR_SCHEMA)}`;
  return session.records(`SHOW STREAMS IN SCHEMA ${place} STARTS WITH ${textLiteral(start)}`, options);
}

export interface SchemaRights {
  readonly exists: boolean;
  /** Of this very role; what it inherits from others is not seen here. */
  readonly missing: readonly string[];
}

export async function ourRights(
  session: SnowflakeSession,
  database: string,
  role: string,
  options: StatementOptions,
): Promise<SchemaRights> {
  const needed = ["CREATE STREAM", "CREATE TABLE"];
  const schemas = await session.records(
    `SHOW SCHEMAS IN DATABASE ${quoteIdentifier(database)} STARTS WITH ${textLiteral(OUR_SCHEMA)}`,
    options,
  );
  if (!schemas.some(({ name }) => name === OUR_SCHEMA)) return { exists: false, missing: needed };
  const place = `${quoteIdentifier(database)}.${quoteIdentifier(OUR_SCHEMA)}`;
  const grants = await session.records(`SHOW GRANTS ON SCHEMA ${place}`, options);
  const has = new Set(grants.filter((grant) => grant["grantee_name"] === role).map((grant) => grant["privilege"]));
  const missing = has.has("OWNERSHIP") ? [] : needed.filter((privilege) => !has.has(privilege));
  return { exists: true, missing };
}

/** A number that is another one whenever one of the tables beneath was written to; and Snowflake's clock, in ms. */
export async function lastChange(
  session: SnowflakeSession,
  tables: readonly ObjectName[],
  options: StatementOptions,
): Promise<{ readonly token: string; readonly nowMs: number }> {
  const tokens = tables.map((table, place) => `SYSTEM$LAST_CHANGE_COMMIT_TIME(${nameText(table)}) AS T${place}`);
  const [row] = await session.rows(`SELECT ${[CLOCK, ...tokens].join(", ")}`, options);
  return { nowMs: Number(row![0]), token: row!.slice(1).join(" ") };
}

/** `token`: another one whenever somebody wrote to the table `beside` it. */
export async function streamHasData(
  session: SnowflakeSession,
  stream: ObjectName,
  beside: ObjectName,
  options: StatementOptions,
): Promise<{ readonly has: boolean; readonly token: string; readonly nowMs: number }> {
  const [row] = await session.rows(
    `SELECT ${CLOCK}, SYSTEM$STREAM_HAS_DATA(${nameText(stream)}) AS HAS, SYSTEM$LAST_CHANGE_COMMIT_TIME(${nameText(beside)}) AS TOKEN`,
    options,
  );
  return { nowMs: Number(row![0]), has: /^(true|1)$/i.test(row![1] ?? ""), token: row![2] ?? "" };
}

const CLOCK = "DATE_PART(EPOCH_MILLISECOND, CURRENT_TIMESTAMP()) AS NOW";
