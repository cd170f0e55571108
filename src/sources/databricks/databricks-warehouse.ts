import type { Finding } from "../../contracts/finding.ts";
import type { Model } from "../../contracts/model.ts";
import type { CaptureExplanation, ModelNeeds, SourceContext } from "../../contracts/source.ts";
import type { ModelFeed, ModelRows, Warehouse } from "../../kit/feed/model-feed.ts";
import { RelationVersions } from "../../kit/relation-versions.ts";
import { checkModels } from "./check.ts";
import { ComparedRows } from "./compared-rows.ts";
import { DeltaTable } from "./delta-table.ts";
import { enableFeed } from "./errors.ts";
import { explain } from "./explain.ts";
import { placeOf } from "./names.ts";
import { Session } from "./session.ts";
import type { Settings } from "./settings.ts";
import { queryRows } from "./statements.ts";
import { TableFeed } from "./table-feed.ts";

/** How a model is read, and what is known of its table. */
export type DatabricksReading =
  | { readonly kind: "feed"; readonly reading: TableFeed; readonly table: DeltaTable; readonly automatic: boolean }
  | { readonly kind: "rows"; readonly reading: ComparedRows; readonly from: string; readonly fix: string | null };

export class DatabricksWarehouse implements Warehouse {
  readonly #settings: Settings;
  readonly #session: Session;
  readonly #versions = new RelationVersions();

  constructor(settings: Settings, context: SourceContext) {
    this.#settings = settings;
    this.#session = new Session(settings, context.baseDirectory ?? ".");
  }

  check(needs: readonly ModelNeeds[], signal: AbortSignal): Promise<readonly Finding[]> {
    const models = needs.map(({ model }) => model);
    return checkModels(models, this.#session, (model) => this.#read(model, signal), signal);
  }

  async reading(model: Model, signal: AbortSignal): Promise<ModelFeed | ModelRows> {
    return (await this.#read(model, signal)).reading;
  }

  async explain(model: Model, signal: AbortSignal): Promise<CaptureExplanation> {
    return explain(await this.#read(model, signal), this.#settings.poll, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }

  async #read(model: Model, signal: AbortSignal): Promise<DatabricksReading> {
    const session = this.#session;
    const versions = this.#versions;
    const label = `model \`${model.name}\``;
    const shared = { session, versions, timeDependent: false };
    if (model.kind === "query") {
      const from = queryRows(model.sql);
      const naming = { id: `query ${model.name}`, namespace: "", name: model.name, label };
      const key = (): Promise<readonly string[]> => Promise.resolve(model.key);
      const because = [
        "Databricks does not tell which tables a query reads, nor which of its rows a change of them affects: compare it on a schedule (`every`), or make it a materialized view and read that",
      ];
      const reading = new ComparedRows({ ...shared, from, naming, key, because, state: null });
      return { kind: "rows", reading, from, fix: null };
    }
    const table = new DeltaTable(session, placeOf(model, this.#settings), label);
    const { id, feed } = await table.identity(signal);
    if (feed !== null) {
      const reading = new TableFeed({ session, table, model, versions });
      return { kind: "feed", reading, table, automatic: feed === "automatic" };
    }
    const from = table.name;
    const fix = id === null ? null : enableFeed(table.name);
    const { namespace, name } = model.table;
    const reading = new ComparedRows({
      ...shared,
      from,
      naming: { id: table.name, namespace: namespace ?? "", name, label },
      key: (inner) => (model.key === null ? table.primaryKey(inner) : Promise.resolve(model.key)),
      because: [
        fix === null
          ? "it is a view, which has no history: read a table or a materialized view instead"
          : `the table's change data feed is off. Run: ${fix}`,
      ],
      state: id === null ? null : async (inner) => `${id} ${await table.newest(inner)}`,
    });
    return { kind: "rows", reading, from, fix };
  }
}
