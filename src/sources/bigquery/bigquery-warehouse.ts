import type { Finding } from "../../contracts/finding.ts";
import type { Model, TableModel } from "../../contracts/model.ts";
import type { CaptureExplanation, ModelNeeds } from "../../contracts/source.ts";
import type { ModelFeed, ModelRows, Warehouse } from "../../kit/feed/model-feed.ts";
import { Api } from "./api.ts";
import { checkModels } from "./check.ts";
import { Clock } from "./clock.ts";
import { ComparedRows, dryRun, watchedTables } from "./compared-rows.ts";
import { asSourceError } from "./errors.ts";
import { explainFeed, explainRows } from "./explain.ts";
import { Jobs } from "./jobs.ts";
import { isNamed, placeOf, sqlName, type TablePlace } from "./names.ts";
import type { Settings } from "./settings.ts";
import { type History, keepHistory, optionsSql } from "./statements.ts";
import { TableFeed } from "./table-feed.ts";
import { TableWatch } from "./table-watch.ts";
import { nameOf, type TableMetadata, Tables } from "./tables.ts";

/** How a table is read, and why. */
export interface TableReading {
  readonly place: TablePlace;
  readonly table: TableMetadata;
  /** null: its rows are compared. */
  readonly history: History | null;
  readonly because: readonly string[];
}

export class BigQueryWarehouse implements Warehouse {
  readonly settings: Settings;
  readonly tables: Tables;
  readonly jobs: Jobs;
  readonly clock: Clock;
  readonly #api: Api;
  /** By model: a feed that is made anew goes on where the last one was. */
  readonly #watches = new Map<string, TableWatch>();

  constructor(settings: Settings, baseDirectory: string) {
    this.settings = settings;
    this.#api = new Api(settings, baseDirectory);
    this.tables = new Tables(this.#api);
    this.jobs = new Jobs(this.#api, settings.maximum_bytes_billed);
    this.clock = new Clock(this.jobs);
  }

  check(needs: readonly ModelNeeds[], signal: AbortSignal): Promise<readonly Finding[]> {
    return checkModels(this, needs, signal);
  }

  async explain(model: Model, signal: AbortSignal): Promise<CaptureExplanation> {
    if (model.kind === "table") {
      const reading = await this.tableReading(model, signal);
      if (reading.history !== null) return explainFeed(this, model, { ...reading, history: reading.history }, signal);
    }
    return explainRows(this, model, await this.rows(model, signal), signal);
  }

  async reading(model: Model, signal: AbortSignal): Promise<ModelFeed | ModelRows> {
    if (model.kind === "query") return this.rows(model, signal);
    const { place, history } = await this.tableReading(model, signal);
    if (history === null) return this.rows(model, signal);
    const { tables, jobs, clock } = this;
    const watch = this.#watchOf(place);
    const timeTravelUs = await tables.timeTravelUs(place, signal);
    const keepsHistory = async (asked: AbortSignal): Promise<boolean> => (await this.#optionsOf(place, asked)).history;
    return new TableFeed({ model, place, history, tables, jobs, clock, watch, timeTravelUs, keepsHistory });
  }

  /** Which history a table has, as things are now. */
  async tableReading(model: TableModel, signal: AbortSignal): Promise<TableReading> {
    const place = placeOf(model, await this.#api.project(), this.settings.dataset);
    const table = await this.tables.metadata(place, signal);
    const name = nameOf(place);
    const compared = (because: string): TableReading => ({ place, table, history: null, because: [because] });
    const other = KINDS[table.type];
    if (other !== undefined) return compared(`${name} is ${other}; BigQuery keeps a change history of tables only`);
    if (isNamed(this.settings.append_only, place)) return { place, table, history: "APPENDS", because: [] };
    const { history, upserted } = await this.#optionsOf(place, signal);
    if (upserted)
      return compared(
        `rows are upserted into ${name} by the Storage Write API (change data capture), which has no change history`,
      );
    if (history) return { place, table, history: "CHANGES", because: [] };
    return compared(
      `the change history of ${name} is not kept: ${keepHistory(place)}. Where rows are only ever added, name it in the source's \`append_only\` instead`,
    );
  }

  /** Any model by comparison. */
  async rows(model: Model, signal: AbortSignal): Promise<ComparedRows> {
    const { tables, jobs, settings } = this;
    if (model.kind === "table") {
      const { place, table, because } = await this.tableReading(model, signal);
      const sql = `SELECT * FROM ${sqlName(place)}`;
      const { location } = table;
      const { watched, why } = await this.#watched(model, sql, location, signal);
      const primaryKey = table.tableConstraints?.primaryKey?.columns;
      return new ComparedRows({
        model,
        sql,
        place,
        primaryKey,
        because: [...because, ...(why === null ? [] : [why])],
        watched,
        location,
        tables,
        jobs,
      });
    }
    const { watched, why } = await this.#watched(model, model.sql, settings.location, signal);
    const because = ["BigQuery keeps a change history of tables only, not of queries", ...(why === null ? [] : [why])];
    return new ComparedRows({
      model,
      sql: model.sql,
      place: null,
      watched,
      because,
      location: settings.location,
      tables,
      jobs,
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  async #watched(model: Model, sql: string, location: string | undefined, signal: AbortSignal) {
    const { tables } = await dryRun({ jobs: this.jobs, model, location }, sql, signal);
    return watchedTables(tables, this.tables, signal);
  }

  async #optionsOf(
    place: TablePlace,
    signal: AbortSignal,
  ): Promise<{ readonly history: boolean; readonly upserted: boolean }> {
    try {
      const { location } = await this.tables.metadata(place, signal);
      const [row] = await this.jobs.rows(optionsSql(place), signal, { location });
      return { history: row?.[0]?.toLowerCase() === "true", upserted: row?.[1] === "true" };
    } catch (error) {
      signal.throwIfAborted();
      throw asSourceError(error, nameOf(place));
    }
  }

  #watchOf(place: TablePlace): TableWatch {
    const name = nameOf(place);
    const known = this.#watches.get(name);
    if (known !== undefined) return known;
    const { tables, clock, settings } = this;
    const watch = new TableWatch({
      metadata: (signal) => tables.metadata(place, signal),
      clock,
      safetyLagMs: settings.safety_lag_ms,
    });
    this.#watches.set(name, watch);
    return watch;
  }
}

const KINDS: Readonly<Record<string, string>> = {
  VIEW: "a view",
  MATERIALIZED_VIEW: "a materialized view",
  EXTERNAL: "an external table",
  SNAPSHOT: "a snapshot",
};
