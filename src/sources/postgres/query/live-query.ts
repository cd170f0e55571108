// From changes of its tables to the keys of a model that they can affect.
import { createHash } from "node:crypto";
import type pg from "pg";
import type { Affected, LiveQuery } from "../../../contracts/capture.ts";
import type { Change } from "../../../contracts/change.ts";
import { TailraceError } from "../../../contracts/errors.ts";
import type { QueryModel } from "../../../contracts/model.ts";
import type { KeyValues } from "../../../contracts/source.ts";
import {
  ALL,
  Found,
  type Needed,
  isLike,
  neededValues,
  partialPlacesOf,
  relationsOf,
} from "../../../kit/live-query/affected.ts";
import { type DescribedQuery, describeQuery, fingerprintSql } from "../describe-query.ts";
import type { SqlSession } from "../sql-session.ts";
import { visibility } from "../visibility.ts";
import type { PostgresReference } from "./affected-sql.ts";
import { type LiveAnalysis, analyse } from "./analyse.ts";
import { DatabaseCatalog } from "./catalog.ts";
import { keysWith } from "./model-sql.ts";

/** A query as it was found that it can be followed. */
export interface Followed {
  readonly described: DescribedQuery;
  readonly analysis: LiveAnalysis;
}

export class PostgresLiveQuery implements LiveQuery {
  readonly relations: ReadonlySet<string>;
  readonly partialPlaces: readonly (readonly number[])[];
  readonly #session: SqlSession;
  readonly #model: QueryModel;
  readonly #generatedToo: boolean;
  #followed: Followed;

  /** `session`: for models. `generatedToo`: the log holds stored generated columns. */
  constructor(session: SqlSession, model: QueryModel, followed: Followed, generatedToo: boolean) {
    this.#session = session;
    this.#model = model;
    this.#followed = followed;
    this.#generatedToo = generatedToo;
    this.relations = relationsOf(followed.analysis);
    this.partialPlaces = partialPlacesOf(followed.analysis.references);
  }

  /**
   * Also everything, when a change does not tell an old value that is needed, and when a table or view that the model reads was altered.
   * Throws `source.model` when that makes it a query of other tables, or none that can be followed.
   */
  async affected(changes: readonly Change[], signal: AbortSignal): Promise<Affected> {
    const asked: { readonly reference: PostgresReference; readonly needed: Needed }[] = [];
    if (changes.some(({ op }) => op === "truncate")) return ALL;
    const byRelation = Map.groupBy(changes, ({ relation }) => relation.id);
    for (const reference of this.#followed.analysis.references) {
      const needed = neededValues(reference, byRelation.get(reference.table.id) ?? []);
      // The log did not hold it: either it does now, or the model cannot be followed any more.
      if (needed === null) return this.#session.use(signal, (client) => this.#analyseAgain(client));
      if (needed.size > 0) asked.push({ reference, needed });
    }
    const found = new Found(this.#followed.described.key.length);
    for (const { reference, needed } of asked) {
      if (reference.direct) for (const values of needed.values()) found.addDirect(reference, values);
    }
    const queries = asked.filter(({ reference }) => reference.sql !== null);
    return this.#session.use(signal, async (client) => {
      const sees = await this.#ask(client, queries, found);
      if (sees === null) return this.#analyseAgain(client);
      for (const { places, values } of found.partials()) await this.#present(client, places, values, found);
      // What the changes say themselves is the same in any snapshot.
      return found.result(queries.length === 0 && found.partials().length === 0 ? () => true : sees);
    });
  }

  async #analyseAgain(client: pg.Client): Promise<Affected> {
    const model = this.#model;
    const described = await describeQuery(client, model);
    const analysis = await analyse(model, described, new DatabaseCatalog(client, this.#generatedToo));
    const followed = analysis.kind === "live" && analysis.missingOldRows.length === 0 ? { described, analysis } : null;
    const places = followed && {
      relations: relationsOf(analysis),
      partialPlaces: partialPlacesOf(followed.analysis.references),
    };
    if (!places || !isLike(places, this)) {
      throw new TailraceError(
        "source.model",
        `model ${model.name}: a table or view that it reads was altered, and it cannot be followed as before`,
      );
    }
    this.#followed = followed;
    return ALL;
  }

  /** All queries as one statement: one round trip, one snapshot, taken after the locks. null: what the model reads was altered. */
  async #ask(
    client: pg.Client,
    queries: readonly { readonly reference: PostgresReference; readonly needed: Needed }[],
    found: Found,
  ): Promise<((transaction: string) => boolean) | null> {
    const { described } = this.#followed;
    const width = Math.max(2, described.key.length);
    const parameters: (readonly (string | null)[])[] = [];
    const branches = queries.map(({ reference, needed }, i) => {
      const text = reference.sql!(parameters.length + 1);
      for (const place of reference.needs.keys()) parameters.push([...needed.values()].map((values) => values[place]!));
      const keys = reference.keyPlaces.map((_, k) => `q.k${k}`);
      const nulls = Array.from({ length: width - keys.length }, () => "NULL::pg_catalog.text");
      return `SELECT ${i}, ${[...keys, ...nulls].join(", ")} FROM (${text}) AS q`;
    });
    const padding = Array.from({ length: width - 2 }, () => ", NULL::pg_catalog.text").join("");
    const head = `SELECT -1, pg_catalog.pg_current_snapshot()::pg_catalog.text, ${fingerprintSql(described.reads)}${padding}`;
    const rows = await run(client, [head, ...branches].join("\nUNION ALL "), parameters);
    let snapshot = "";
    for (const [branch, ...texts] of rows) {
      if (branch === "-1") {
        const [seen, fingerprint] = texts;
        if (fingerprint !== described.fingerprint) return null;
        snapshot = seen!;
        continue;
      }
      const { reference } = queries[Number(branch)]!;
      found.add(reference, texts.slice(0, reference.keyPlaces.length) as string[]);
    }
    return visibility(snapshot);
  }

  /** Keys with these parts that the model has now: they may never have been sent. */
  async #present(
    client: pg.Client,
    places: readonly number[],
    values: readonly KeyValues[],
    found: Found,
  ): Promise<void> {
    const lists = places.map((_, i) => values.map((list) => list[i]!));
    const rows = await run(client, keysWith(this.#model, this.#followed.described, places), lists);
    for (const key of rows) {
      const known = key.filter((text) => text !== null);
      if (known.length === key.length) found.addKey(known);
    }
  }
}

async function run(
  client: pg.Client,
  text: string,
  values: readonly unknown[],
): Promise<readonly (readonly (string | null)[])[]> {
  const name = `tailrace_${createHash("md5").update(text).digest("hex")}`;
  const result = await client.query({ name, text, values: [...values], rowMode: "array" } as pg.QueryArrayConfig);
  return result.rows as (string | null)[][];
}
