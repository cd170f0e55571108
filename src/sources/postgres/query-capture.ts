// How a query's changes become known: which tables of it are in the log, and whether that is enough.
import type { Affected, Capture, LiveQuery } from "../../contracts/capture.ts";
import type { Change } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { QueryModel } from "../../contracts/model.ts";
import { type KnownQuery, hearsTheLog } from "./known-query.ts";
import { obstacleText } from "./obstacles.ts";
import type { ReadModels } from "./published-table.ts";
import { PostgresLiveQuery } from "./query/live-query.ts";
import type { QueryReader } from "./query-reader.ts";
import type { SqlSession } from "./sql-session.ts";

/** What reading needs of the models that are queries. */
export async function readQueries(
  models: readonly QueryModel[],
  reader: QueryReader,
  signal: AbortSignal,
): Promise<Omit<ReadModels, "tables">> {
  const bases = new Map<string, readonly string[]>();
  const meanings = new Map<string, string>();
  for (const model of models) {
    const known = await reader.know(model, signal, true);
    const heard = hearsTheLog(model, known) ? [...known.bases.told.keys()].sort() : [];
    // A table that was not heard of until now may have changed unnoticed: that is as if the query were another one.
    meanings.set(model.name, [known.described.meaning, ...heard].join(" "));
    for (const oid of heard) bases.set(oid, [...(bases.get(oid) ?? []), model.name]);
  }
  return { bases, meanings };
}

/** See Source.capture. `session`: for models. */
export async function captureQuery(
  model: QueryModel,
  reader: QueryReader,
  session: SqlSession,
  signal: AbortSignal,
): Promise<Capture> {
  const known = await reader.know(model, signal, true);
  const followed = follow(model, known, session);
  if (followed) return { kind: "live", query: new FollowedQuery(model, reader, session, known, followed) };
  const { bases, analysis } = known;
  const because = known.because.map(obstacleText);
  const triggers = hearsTheLog(model, known) && bases.told.size > 0 ? new Set(bases.told.keys()) : null;
  return { kind: "diff", because, triggers, timeDependent: analysis.kind === "diff" && analysis.timeDependent };
}

function follow(model: QueryModel, known: KnownQuery, session: SqlSession): PostgresLiveQuery | null {
  const { described, analysis, because, generatedToo } = known;
  if (analysis.kind === "diff" || because.length > 0) return null;
  return new PostgresLiveQuery(session, model, { described, analysis }, generatedToo);
}

/** Goes on when what it reads was altered so that its statements fail, where it can be followed as before. */
class FollowedQuery implements LiveQuery {
  readonly relations: ReadonlySet<string>;
  readonly partialPlaces: readonly (readonly number[])[];
  readonly #model: QueryModel;
  readonly #reader: QueryReader;
  readonly #session: SqlSession;
  #known: KnownQuery;
  #followed: PostgresLiveQuery;

  constructor(
    model: QueryModel,
    reader: QueryReader,
    session: SqlSession,
    known: KnownQuery,
    followed: PostgresLiveQuery,
  ) {
    this.#model = model;
    this.#reader = reader;
    this.#session = session;
    this.#known = known;
    this.#followed = followed;
    this.relations = followed.relations;
    this.partialPlaces = followed.partialPlaces;
  }

  async affected(changes: readonly Change[], signal: AbortSignal): Promise<Affected> {
    try {
      return await this.#followed.affected(changes, signal);
    } catch (error) {
      if (!(error instanceof TailraceError) || error.consequence !== "config") throw error;
      const known = await this.#reader.know(this.#model, signal, true);
      if (known.described.fingerprint === this.#known.described.fingerprint) throw error;
      const followed = follow(this.#model, known, this.#session);
      if (followed === null || !sameAs(followed, this.#followed)) throw this.#notAsBefore(known);
      this.#known = known;
      this.#followed = followed;
      return { all: true, keys: [], partial: [], sees: () => true };
    }
  }

  #notAsBefore({ because }: KnownQuery): TailraceError {
    const why = because.length === 0 ? "it reads other tables now" : because.map(obstacleText).join("; ");
    return new TailraceError(
      "source.model",
      `model ${this.#model.name}: a table or view of it was altered, and it cannot be followed as before: ${why}`,
    );
  }
}

function sameAs(one: LiveQuery, other: LiveQuery): boolean {
  const places = ({ partialPlaces }: LiveQuery) => JSON.stringify(partialPlaces);
  return (
    places(one) === places(other) &&
    one.relations.size === other.relations.size &&
    [...one.relations].every((oid) => other.relations.has(oid))
  );
}
