// What a table says of itself.
import { TailraceError } from "../../contracts/errors.ts";
import { asSourceError, NO_TABLE, Refusal } from "./errors.ts";
import { quoteName, quoteText, sqlName, type TablePlace } from "./names.ts";
import type { Row, Session } from "./session.ts";
import { changesOf, type ColumnType, describeSql } from "./statements.ts";

/** `legacy`: recorded as it is written. `automatic`: computed from row tracking when it is read. */
export type FeedKind = "legacy" | "automatic";

export interface Identity {
  /** Another one when the table is dropped and made again; null: a view, which has no history. */
  readonly id: string | null;
  readonly feed: FeedKind | null;
}

export class DeltaTable {
  /** Quoted. */
  readonly name: string;
  /** For messages. */
  readonly label: string;
  readonly #place: TablePlace;
  readonly #session: Session;

  constructor(session: Session, place: TablePlace, label: string) {
    this.#session = session;
    this.#place = place;
    this.name = sqlName(place);
    this.label = label;
  }

  /** A few rows; errors are the source's own. */
  async rows(sql: string, signal: AbortSignal): Promise<readonly Row[]> {
    try {
      return await this.#session.rows(sql, signal);
    } catch (error) {
      throw this.error(error, signal);
    }
  }

  error(error: unknown, signal: AbortSignal): unknown {
    return signal.aborted ? signal.reason : asSourceError(error, this.label, this.name);
  }

  /** The newest versions, the newest first. */
  async history(limit: bigint, signal: AbortSignal): Promise<readonly bigint[]> {
    const rows = await this.rows(`DESCRIBE HISTORY ${this.name} LIMIT ${limit}`, signal);
    return rows.map((row) => BigInt(String(row["version"])));
  }

  async newest(signal: AbortSignal): Promise<bigint> {
    const [version] = await this.history(1n, signal);
    if (version === undefined) throw new TailraceError("source.data", `${this.label} has no history`);
    return version;
  }

  async identity(signal: AbortSignal): Promise<Identity> {
    try {
      const [detail] = await this.#session.rows(`DESCRIBE DETAIL ${this.name}`, signal);
      return { id: String(detail?.["id"]), feed: feedOf(detail?.["properties"]) };
    } catch (error) {
      // Of a materialized view or streaming table, it is not documented that this works.
      if (error instanceof Refusal && error.is(NO_TABLE)) return this.#identityOfView(signal);
      throw this.error(error, signal);
    }
  }

  async #identityOfView(signal: AbortSignal): Promise<Identity> {
    const { schema, name } = this.#place;
    const [row] = await this.rows(
      `SELECT table_type AS kind, CAST(unix_micros(created) AS STRING) AS made FROM ${this.#catalogue("tables")} WHERE table_schema = ${quoteText(schema)} AND table_name = ${quoteText(name)}`,
      signal,
    );
    const kind = String(row?.["kind"]);
    if (kind !== "MATERIALIZED_VIEW" && kind !== "STREAMING_TABLE") return { id: null, feed: null };
    return { id: `made ${String(row?.["made"])}`, feed: (await this.#hasChanges(signal)) ? "automatic" : null };
  }

  /** By reading those of the newest version. */
  async #hasChanges(signal: AbortSignal): Promise<boolean> {
    const version = await this.newest(signal);
    try {
      await this.#session.rows(`SELECT 1 AS one FROM ${changesOf(this.name, version, version)} LIMIT 1`, signal);
      return true;
    } catch (error) {
      if (error instanceof Refusal) return false;
      throw this.error(error, signal);
    }
  }

  /** In order. */
  async primaryKey(signal: AbortSignal): Promise<readonly string[]> {
    const { schema, name } = this.#place;
    const rows = await this.rows(
      `SELECT k.column_name AS name FROM ${this.#catalogue("table_constraints")} AS t JOIN ${this.#catalogue("key_column_usage")} AS k ON k.constraint_schema = t.constraint_schema AND k.constraint_name = t.constraint_name WHERE t.constraint_type = 'PRIMARY KEY' AND t.table_schema = ${quoteText(schema)} AND t.table_name = ${quoteText(name)} ORDER BY k.ordinal_position`,
      signal,
    );
    return rows.map((row) => String(row["name"]));
  }

  #catalogue(view: string): string {
    const { catalog } = this.#place;
    return `${catalog === null ? "" : `${quoteName(catalog)}.`}information_schema.${view}`;
  }
}

/** The columns of a FROM. Throws {@link Refusal}. */
export async function columnsOf(session: Session, from: string, signal: AbortSignal): Promise<readonly ColumnType[]> {
  const rows = await session.rows(describeSql(`SELECT * FROM ${from}`), signal);
  return rows.map((row) => ({ name: String(row["col_name"]), type: String(row["data_type"]).toLowerCase() }));
}

/** The driver gives a map as an object, or as its JSON. */
function feedOf(properties: unknown): FeedKind | null {
  const map = (typeof properties === "string" ? JSON.parse(properties) : (properties ?? {})) as Record<string, string>;
  const isOn = (name: string): boolean => String(map[name]).toLowerCase() === "true";
  if (isOn("delta.enableChangeDataFeed")) return "legacy";
  return isOn("delta.enableRowTracking") ? "automatic" : null;
}
