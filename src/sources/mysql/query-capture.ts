// How a query's changes become known.
import type { Affected, Capture, LiveQuery } from "../../contracts/capture.ts";
import type { Change } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { QueryModel } from "../../contracts/model.ts";
import { ALL, isLike } from "../../kit/live-query/affected.ts";
import { type KnownQuery, heardOf, hearsTheLog, knowQuery, obstacleText, relationsOf } from "./known-query.ts";
import { type InSnapshot, MysqlLiveQuery } from "./query/live-query.ts";
import type { SqlSession } from "./sql-session.ts";

export interface QueryCaptureOptions {
  /** For questions; never for long. */
  readonly side: SqlSession;
  readonly inSnapshot: InSnapshot;
  readonly database: string | undefined;
  /** Grows when the log tells that a table or view was altered that some query reads. */
  readonly redefined: () => number;
}

/** See Source.capture. */
export async function captureQuery(
  model: QueryModel,
  options: QueryCaptureOptions,
  signal: AbortSignal,
): Promise<Capture> {
  const redefined = options.redefined();
  const known = await options.side.use(signal, (connection) => knowQuery(connection, model, options.database));
  const followed = follow(known, options);
  if (followed) return { kind: "live", query: new FollowedQuery(model, options, followed, redefined) };
  const { reads, because, analysis } = known;
  const hidden = reads.views.some(({ definition }) => definition === null);
  const triggers = hearsTheLog(model, known) && !hidden && reads.tables.length > 0 ? relationsOf(heardOf(known)) : null;
  return {
    kind: "diff",
    because: because.map(obstacleText),
    triggers,
    timeDependent: analysis.kind === "diff" && analysis.timeDependent,
  };
}

interface Followed {
  readonly live: MysqlLiveQuery;
  /** With what tells that one of its tables or views was altered. */
  readonly relations: ReadonlySet<string>;
}

function follow(known: KnownQuery, { inSnapshot }: QueryCaptureOptions): Followed | null {
  const { source, analysis, because } = known;
  if (analysis.kind === "diff" || because.length > 0) return null;
  return { live: new MysqlLiveQuery(source, analysis, inSnapshot), relations: relationsOf(heardOf(known)) };
}

/** Goes on when what it reads was altered, where it can be followed as before. */
class FollowedQuery implements LiveQuery {
  readonly relations: ReadonlySet<string>;
  readonly partialPlaces: readonly (readonly number[])[];
  readonly #model: QueryModel;
  readonly #options: QueryCaptureOptions;
  #live: MysqlLiveQuery;
  /** What `redefined` said when it was looked at. */
  #redefined: number;

  constructor(model: QueryModel, options: QueryCaptureOptions, { live, relations }: Followed, redefined: number) {
    this.relations = relations;
    this.partialPlaces = live.partialPlaces;
    this.#model = model;
    this.#options = options;
    this.#live = live;
    this.#redefined = redefined;
  }

  async affected(changes: readonly Change[], signal: AbortSignal): Promise<Affected> {
    if (this.#options.redefined() !== this.#redefined) return this.#again(signal);
    return (await this.#live.find(changes, signal)) ?? this.#again(signal);
  }

  async #again(signal: AbortSignal): Promise<Affected> {
    const { side, database, redefined } = this.#options;
    const now = redefined();
    const known = await side.use(signal, (connection) => knowQuery(connection, this.#model, database));
    const followed = follow(known, this.#options);
    if (followed === null || !isLike({ ...followed, partialPlaces: followed.live.partialPlaces }, this)) {
      const why = known.because.length === 0 ? "it reads other tables now" : known.because.map(obstacleText).join("; ");
      throw new TailraceError(
        "source.model",
        `model ${this.#model.name}: a table or view of it was altered, and it cannot be followed as before: ${why}`,
      );
    }
    this.#live = followed.live;
    this.#redefined = now;
    return ALL;
  }
}
