import type { Finding } from "../../contracts/finding.ts";
import type { Model } from "../../contracts/model.ts";
import type { CaptureExplanation, ModelNeeds, SourceContext } from "../../contracts/source.ts";
import type { ModelFeed, ModelRows, Warehouse } from "../../kit/feed/model-feed.ts";
import { RelationVersions } from "../../kit/relation-versions.ts";
import { checkModels } from "./check.ts";
import { comparedRows } from "./compared-rows.ts";
import { ModelPlace } from "./model-place.ts";
import { Sessions } from "./sessions.ts";
import type { Settings } from "./settings.ts";
import { declareRead, readRows, subscribe } from "./statements.ts";
import { SubscribedFeed } from "./subscribed-feed.ts";

export class MaterializeWarehouse implements Warehouse {
  readonly #settings: Settings;
  readonly #sessions: Sessions;
  readonly #versions = new RelationVersions();

  constructor(settings: Settings, context: SourceContext) {
    this.#settings = settings;
    this.#sessions = new Sessions(settings, context.baseDirectory ?? ".");
  }

  check(needs: readonly ModelNeeds[], signal: AbortSignal): Promise<readonly Finding[]> {
    const places = needs.map(({ model }) => this.#place(model));
    return checkModels(places, this.#sessions, signal);
  }

  reading(model: Model): Promise<ModelFeed | ModelRows> {
    const feed = new SubscribedFeed(this.#place(model), this.#sessions);
    return Promise.resolve(isCompared(model) ? comparedRows(feed) : feed);
  }

  async explain(model: Model, signal: AbortSignal): Promise<CaptureExplanation> {
    const place = this.#place(model);
    const { columns, key } = await place.relation(signal);
    const order = key.map((index) => columns[index]!.name);
    const read = declareRead(readRows(place.from, null, order));
    if (isCompared(model))
      return {
        kind: "diff",
        why: "The model says `capture: diff`.",
        latency: "A difference is found at the next comparison of the model's schedule (`every`, `cron`).",
        cost: "Every comparison reads the whole model.",
        statements: [read],
      };
    return {
      kind: "feed",
      why: "Materialize maintains the result, and tells each change of it with its time (SUBSCRIBE).",
      latency:
        "A change is told within about a second of its commit, when its timestamp is complete; nothing is polled.",
      cost: "One subscription for each model, which the cluster keeps while Tailrace runs, and one `SELECT mz_now()` a second. A query or a view without an index is computed for the subscription alone. To go on after a stop, history must be retained for as long (RETAIN HISTORY), which keeps old rows in storage.",
      statements: [`${subscribe(place.from, null)} AS OF …`, read],
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sessions[Symbol.asyncDispose]();
  }

  #place(model: Model): ModelPlace {
    return new ModelPlace(model, this.#settings.schema, this.#sessions, this.#versions);
  }
}

function isCompared(model: Model): boolean {
  return model.kind === "query" && model.capture === "diff";
}
