// A Delta table as its transaction log has it: versions, each with what it changed, and the refusals of readers of old ones.
import { randomUUID } from "node:crypto";
import { DatabricksRefusal } from "./refusal.ts";

export type Text = string | null;
export type TextRow = readonly Text[];

export interface DeltaColumn {
  readonly name: string;
  /** Databricks' own name, in small letters. */
  readonly type: string;
}

export type ChangeType = "insert" | "update_preimage" | "update_postimage" | "delete";

export interface DeltaChange {
  readonly type: ChangeType;
  readonly row: TextRow;
}

export interface Version {
  readonly number: number;
  readonly operation: string;
  readonly atMicros: bigint;
  readonly columns: readonly DeltaColumn[];
  readonly rows: readonly TextRow[];
  readonly changes: readonly DeltaChange[];
  /** Whether its changes can be read: recorded then, or computed from row tracking. */
  readonly feed: boolean;
  /** VACUUM has deleted its files. */
  vacuumed: boolean;
}

export type TableKind = "TABLE" | "VIEW" | "MATERIALIZED_VIEW" | "STREAMING_TABLE";

export interface TableOptions {
  readonly columns: readonly DeltaColumn[];
  readonly primaryKey?: readonly string[];
  readonly properties?: Readonly<Record<string, string>>;
  readonly kind?: TableKind;
}

const now = (): bigint => BigInt(Date.now()) * 1000n + ((process.hrtime.bigint() / 1000n) % 1000n);

export class DeltaTable {
  readonly id = randomUUID();
  readonly createdMicros = now();
  readonly kind: TableKind;
  readonly primaryKey: readonly string[];
  properties: Readonly<Record<string, string>>;
  columns: readonly DeltaColumn[];
  /** Oldest first; the log's own retention takes some from the front. */
  versions: Version[] = [];

  constructor({ columns, primaryKey = [], properties = {}, kind = "TABLE" }: TableOptions) {
    this.columns = columns;
    this.primaryKey = primaryKey;
    this.properties = properties;
    this.kind = kind;
    this.#commit("CREATE TABLE", [], []);
  }

  get newest(): Version {
    return this.versions.at(-1)!;
  }

  /**
   * One commit. `update` and `delete` are told by the row's place; an update that changes nothing is one, as MERGE writes them
   * (docs.delta.io/delta-change-data-feed: the feed holds every row that was rewritten by an update clause).
   */
  write(
    change: {
      readonly insert?: readonly TextRow[];
      readonly update?: readonly { readonly at: (row: TextRow) => boolean; readonly to: (row: TextRow) => TextRow }[];
      readonly delete?: (row: TextRow) => boolean;
    },
    operation = "MERGE",
  ): Version {
    const changes: DeltaChange[] = [];
    const rows: TextRow[] = [];
    for (const row of this.newest.rows) {
      if (change.delete?.(row) === true) {
        changes.push({ type: "delete", row });
        continue;
      }
      const update = change.update?.find(({ at }) => at(row));
      if (update === undefined) rows.push(row);
      else {
        const after = update.to(row);
        rows.push(after);
        // In the order in which files happen to hold them: not the one that a reader would like.
        changes.unshift({ type: "update_postimage", row: after });
        changes.push({ type: "update_preimage", row });
      }
    }
    for (const row of change.insert ?? []) {
      rows.push(row);
      changes.push({ type: "insert", row });
    }
    return this.#commit(operation, rows, changes);
  }

  /** INSERT OVERWRITE: every row is deleted and inserted, also one that is the same (a full recompute of a materialized view looks so). */
  overwrite(rows: readonly TextRow[], operation = "WRITE"): Version {
    const deleted = this.newest.rows.map((row): DeltaChange => ({ type: "delete", row }));
    const inserted = rows.map((row): DeltaChange => ({ type: "insert", row }));
    return this.#commit(operation, rows, [...inserted, ...deleted]);
  }

  /** A commit that changes no row. */
  touch(operation = "OPTIMIZE"): Version {
    return this.#commit(operation, this.newest.rows, []);
  }

  /** `delta.enableChangeDataFeed` is not retroactive: only what is written from this version on is recorded. */
  setProperties(properties: Readonly<Record<string, string>>): void {
    this.properties = { ...this.properties, ...properties };
    this.#commit("SET TBLPROPERTIES", this.newest.rows, []);
  }

  alter(operation: string, columns: readonly DeltaColumn[], convert: (row: TextRow) => TextRow): Version {
    this.columns = columns;
    return this.#commit(operation, this.newest.rows.map(convert), []);
  }

  /** Deletes the files of versions before this one. */
  vacuum(before: number): void {
    for (const version of this.versions) if (version.number < before) version.vacuumed = true;
  }

  /** The log of versions before this one is cleaned up (delta.logRetentionDuration). */
  cleanLog(before: number): void {
    this.versions = this.versions.filter(({ number }) => number >= before);
  }

  /** `VERSION AS OF`. */
  at(number: number): Version {
    const version = this.versions.find((each) => each.number === number);
    if (version === undefined)
      throw new DatabricksRefusal(
        "VERSION_NOT_FOUND",
        `Cannot time travel Delta table to version ${number}. Available versions: [${this.versions[0]!.number}, ${this.newest.number}].`,
        "22003",
      );
    if (version.vacuumed)
      throw new DatabricksRefusal(
        "DELTA_MISSING_FILES_UNEXPECTED_VERSION",
        `The files of version ${number} are not there any more.`,
        "XXKDS",
      );
    return version;
  }

  /** `table_changes(…, first, last)`: both ends inclusive. */
  changes(
    first: number,
    last: number,
  ): { readonly columns: readonly DeltaColumn[]; readonly versions: readonly Version[] } {
    const newest = this.newest.number;
    // docs.databricks.com/error-messages: DELTA_CDC_START_VERSION_AFTER_LATEST, unless timestampOutOfRange is enabled.
    if (first > newest)
      throw new DatabricksRefusal(
        "DELTA_CDC_START_VERSION_AFTER_LATEST",
        `The start version ${first} is after the latest version ${newest} of the table.`,
        "22003",
      );
    if (last < first)
      throw new DatabricksRefusal(
        "DELTA_INVALID_CDC_RANGE",
        `CDC range from start ${first} to end ${last} was invalid.`,
        "22003",
      );
    if (first < this.versions[0]!.number) this.at(first);
    const versions = this.versions.filter(({ number }) => number >= first && number <= last);
    // DELTA_MISSING_CHANGE_DATA: one version without records spoils the range.
    const unrecorded = versions.find(({ feed }) => !feed);
    if (unrecorded !== undefined)
      throw new DatabricksRefusal(
        "DELTA_MISSING_CHANGE_DATA",
        `Error getting change data for range [${first} , ${last}] as change data was not recorded for version [${unrecorded.number}].`,
        "KD002",
      );
    const columns = this.#readColumns(first, last, versions);
    // The change data file is out of the retention period and has been deleted by VACUUM.
    const vacuumed = versions.find((each) => each.vacuumed && each.changes.length > 0);
    if (vacuumed !== undefined)
      throw new DatabricksRefusal(
        "DELTA_CHANGE_DATA_FILE_NOT_FOUND",
        `File s3://bucket/_change_data/cdc-${vacuumed.number}.parquet referenced in the transaction log cannot be found.`,
        "XXKDS",
      );
    return { columns, versions };
  }

  /**
   * docs.databricks.com/delta/column-mapping: with column mapping a range is read with the columns of its end version, else with the table's newest; a
   * rename, a drop or another type within the range, or since it without column mapping, is refused.
   */
  #readColumns(first: number, last: number, versions: readonly Version[]): readonly DeltaColumn[] {
    const mapped = this.properties["delta.columnMapping.mode"] === "name";
    const columns = mapped ? versions.at(-1)!.columns : this.columns;
    const broken = versions.find((version) => !isAdditive(version.columns, columns));
    if (broken !== undefined)
      throw new DatabricksRefusal(
        mapped
          ? "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_SCHEMA_CHANGE"
          : "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_DATA_SCHEMA",
        `Retrieving table changes between version ${first} and ${last} failed because of an incompatible schema at version ${broken.number}.`,
        "0AKDC",
      );
    return columns;
  }

  #commit(operation: string, rows: readonly TextRow[], changes: readonly DeltaChange[]): Version {
    const { properties } = this;
    const feed =
      properties["delta.enableChangeDataFeed"] === "true" || properties["delta.enableRowTracking"] === "true";
    const number = (this.versions.at(-1)?.number ?? -1) + 1;
    const { columns } = this;
    const version = { number, operation, atMicros: now(), columns, rows, changes, feed, vacuumed: false };
    this.versions.push(version);
    return version;
  }
}

function isAdditive(before: readonly DeltaColumn[], after: readonly DeltaColumn[]): boolean {
  return before.every(({ name, type }, place) => after[place]?.name === name && after[place].type === type);
}
