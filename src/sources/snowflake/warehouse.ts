import { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import type { Model, TableModel } from "../../contracts/model.ts";
import type { CaptureExplanation, Holding, ModelNeeds, SourceContext } from "../../contracts/source.ts";
import type { ModelFeed, ModelRows, Warehouse } from "../../kit/feed/model-feed.ts";
import { RelationVersions } from "../../kit/relation-versions.ts";
import { ChangesFeed } from "./changes-feed.ts";
import { checkModels } from "./check.ts";
import { type Choice, choose } from "./choice.ts";
import { describeModel, label } from "./described.ts";
import { explainModel } from "./explain.ts";
import { ourRights, ourStreams } from "./metadata.ts";
import { feedNames, folded, type ObjectName, OUR_SCHEMA, ownerText, tableOf } from "./names.ts";
import { dropStatements } from "./outbox.ts";
import { QueryRows } from "./query-rows.ts";
import { SnowflakeSession, type StatementOptions } from "./session.ts";
import type { Settings } from "./settings.ts";
import { StreamFeed } from "./stream-feed.ts";

const WHAT = "source";

export class SnowflakeWarehouse implements Warehouse {
  readonly #settings: Settings;
  readonly #context: SourceContext;
  readonly #session: SnowflakeSession;
  readonly #writer: SnowflakeSession;
  readonly #versions = new RelationVersions();
  /** One for the model and all who read it: they share the place of its stream. */
  readonly #feeds = new Map<string, { readonly kind: Choice["kind"]; readonly feed: StreamFeed | ChangesFeed }>();

  constructor(settings: Settings, context: SourceContext) {
    this.#settings = settings;
    this.#context = context;
    this.#session = new SnowflakeSession(settings, context.baseDirectory ?? ".");
    this.#writer = new SnowflakeSession(settings, context.baseDirectory ?? ".");
  }

  check(needs: readonly ModelNeeds[], signal: AbortSignal): Promise<readonly Finding[]> {
    return checkModels(
      {
        session: this.#session,
        settings: this.#settings,
        choice: (model) => this.#choice(model, signal),
        describe: (model) => describeModel(this.#session, this.#versions, model, this.#table(model), signal),
        namesOf: (model) => this.#names(model, signal),
      },
      needs.map(({ model }) => model),
      signal,
    );
  }

  async reading(model: Model, signal: AbortSignal): Promise<ModelFeed | ModelRows> {
    const choice = await this.#choice(model, signal);
    if (choice.kind === "rows") {
      this.#feeds.delete(model.name);
      const { because } = choice;
      const options = { session: this.#session, versions: this.#versions, model, table: this.#table(model), because };
      return QueryRows.of(options, signal);
    }
    const known = this.#feeds.get(model.name);
    const feed = known?.kind === choice.kind ? known.feed : await this.#feed(model as TableModel, choice.kind, signal);
    feed.renew();
    this.#feeds.set(model.name, { kind: choice.kind, feed });
    return feed;
  }

  async #feed(model: TableModel, kind: "streams" | "changes", signal: AbortSignal): Promise<StreamFeed | ChangesFeed> {
    const common = { session: this.#session, versions: this.#versions, model, source: tableOf(model, this.#settings) };
    if (kind === "changes") return new ChangesFeed({ ...common, settleMs: this.#settings.settle_ms });
    const owner = ownerText(this.#context.project, this.#context.name);
    return new StreamFeed({
      ...common,
      writer: this.#writer,
      names: await this.#names(model, signal),
      owner,
    });
  }

  async explain(model: Model, signal: AbortSignal): Promise<CaptureExplanation> {
    const choice = await this.#choice(model, signal);
    const described = await describeModel(this.#session, this.#versions, model, this.#table(model), signal);
    const names = choice.kind === "streams" ? await this.#names(model as TableModel, signal) : null;
    return explainModel({ model, choice, described, names, settings: this.#settings });
  }

  async holdings(signal: AbortSignal): Promise<readonly Holding[]> {
    const database = folded(this.#settings.database);
    const rights = await ourRights(this.#session, database, folded(this.#settings.role), this.#with(signal));
    if (!rights.exists) return [];
    const streams = await ourStreams(this.#session, database, "STREAM_", this.#with(signal));
    const owner = ownerText(this.#context.project, this.#context.name);
    // Which models there are is not known here: none of them is an orphan for certain.
    return streams
      .filter(({ comment }) => comment === owner)
      .map((stream) => ({
        name: stream["name"]!,
        kind: "stream",
        active: false,
        retainedBytes: null,
        used: true,
        detail: `on ${stream["table_name"] ?? "?"}; stale after ${stream["stale_after"] ?? "?"}`,
      }));
  }

  async release(name: string, signal: AbortSignal): Promise<void> {
    const id = /^STREAM_(.+)$/.exec(name)?.[1];
    if (id === undefined) throw new TailraceError("source.config", `${name} is no stream of ours`);
    const ours = (kind: string): ObjectName => ({
      database: folded(this.#settings.database),
      schema: OUR_SCHEMA,
      name: `${kind}_${id}`,
    });
    const names = { stream: ours("STREAM"), outbox: ours("OUTBOX"), feed: ours("FEED") };
    for (const sql of dropStatements(names)) await this.#session.rows(sql, this.#with(signal));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#session[Symbol.asyncDispose](), this.#writer[Symbol.asyncDispose]()]);
  }

  #table(model: Model): ObjectName | null {
    return model.kind === "table" ? tableOf(model, this.#settings) : null;
  }

  #choice(model: Model, signal: AbortSignal): Promise<Choice> {
    return choose(this.#session, this.#settings, model, this.#table(model), {
      what: model.kind === "table" ? label(model) : WHAT,
      signal,
    });
  }

  async #names(model: TableModel, signal: AbortSignal) {
    const table = tableOf(model, this.#settings);
    const { relation } = await describeModel(this.#session, this.#versions, model, table, signal);
    const key = relation.key.map((place) => relation.columns[place]!.name);
    const { project, name: source } = this.#context;
    return feedNames({ project, source, model: model.name }, folded(this.#settings.database), table, key);
  }

  #with(signal: AbortSignal): StatementOptions {
    return { what: WHAT, signal };
  }
}
