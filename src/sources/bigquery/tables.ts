// What BigQuery says of a table without a query, which is free.
import { closest } from "../../contracts/did-you-mean.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Model } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import { RelationVersions } from "../../kit/relation-versions.ts";
import type { Api } from "./api.ts";
import { asSourceError } from "./errors.ts";
import type { TablePlace } from "./names.ts";
import type { Shape } from "./statements.ts";
import { canBeKey, columnOf, type Field, typeOf } from "./types.ts";

/** The parts that are used of the API's resource. Times are ms since the epoch, as texts. */
export interface TableMetadata {
  /** `TABLE`, `VIEW`, `MATERIALIZED_VIEW`, `EXTERNAL`, `SNAPSHOT`. */
  readonly type: string;
  readonly schema?: { readonly fields?: readonly Field[] };
  readonly creationTime: string;
  readonly lastModifiedTime: string;
  readonly location?: string;
  readonly numRows?: string;
  readonly numBytes?: string;
  /** Rows that were streamed and are not stored as the others yet. */
  readonly streamingBuffer?: { readonly estimatedRows?: string; readonly estimatedBytes?: string };
  readonly tableConstraints?: { readonly primaryKey?: { readonly columns?: readonly string[] } };
  readonly cloneDefinition?: object;
  readonly requirePartitionFilter?: boolean;
  readonly timePartitioning?: { readonly expirationMs?: string; readonly requirePartitionFilter?: boolean };
}

/** A model's rows as they are now. */
export interface Described {
  readonly relation: Relation;
  readonly shape: Shape;
}

export class Tables {
  readonly #api: Api;
  readonly #versions = new RelationVersions();

  constructor(api: Api) {
    this.#api = api;
  }

  /** Throws `source.model` when it is not there. */
  async metadata(place: TablePlace, signal: AbortSignal): Promise<TableMetadata> {
    const { project, dataset, table } = place;
    const path = `/datasets/${dataset}/tables/${encodeURIComponent(table)}`;
    try {
      return await this.#api.send<TableMetadata>({ path, project }, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw asSourceError(error, nameOf(place));
    }
  }

  /** For how long the dataset keeps what its tables were, in µs. */
  async timeTravelUs({ project, dataset }: TablePlace, signal: AbortSignal): Promise<bigint> {
    try {
      const { maxTimeTravelHours } = await this.#api.send<{ readonly maxTimeTravelHours?: string }>(
        { path: `/datasets/${dataset}`, project },
        signal,
      );
      return BigInt(maxTimeTravelHours ?? "168") * HOUR_US;
    } catch (error) {
      signal.throwIfAborted();
      throw asSourceError(error, dataset);
    }
  }

  /** Of these permissions, those that the credentials have on the table. */
  async granted(
    { project, dataset, table }: TablePlace,
    permissions: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const path = `/datasets/${dataset}/tables/${encodeURIComponent(table)}:testIamPermissions`;
    const answer = await this.#api.send<{ readonly permissions?: readonly string[] }>(
      { method: "POST", path, project, body: { permissions } },
      signal,
    );
    return answer.permissions ?? [];
  }

  /** `primaryKey`: what the table declares, where it is one. Throws `source.model` when there is no such key. */
  describe(
    model: Model,
    fields: readonly Field[],
    options: {
      readonly place: TablePlace | null;
      readonly primaryKey?: readonly string[] | undefined;
      readonly oldRows: Relation["oldRows"];
    },
  ): Described {
    const { place } = options;
    const names = (model.kind === "table" ? (model.key ?? options.primaryKey) : model.key) ?? [];
    if (names.length === 0)
      throw new TailraceError(
        "source.model",
        `model ${model.name}: its table declares no primary key; give the model a \`key\``,
      );
    const key = names.map((name) => keyPlace(model, fields, name));
    const relation = this.#versions.intern({
      id: place === null ? `query:${model.name}` : nameOf(place),
      namespace: place?.dataset ?? "",
      name: place?.table ?? model.name,
      version: 1,
      columns: fields.map((field, index) => ({
        ...columnOf(field),
        ...(key.includes(index) ? { nullable: false } : {}),
      })),
      key,
      oldRows: options.oldRows,
    });
    return { relation, shape: { fields, key } };
  }
}

const HOUR_US = 3_600_000_000n;

export function nameOf({ project, dataset, table }: TablePlace): string {
  return `${project}.${dataset}.${table}`;
}

/** Another text whenever the table may have other rows. */
export function stateOf({ creationTime, lastModifiedTime, streamingBuffer }: TableMetadata): string {
  const streamed =
    streamingBuffer === undefined ? "" : `${streamingBuffer.estimatedRows}:${streamingBuffer.estimatedBytes}`;
  return `${creationTime}/${lastModifiedTime}/${streamed}`;
}

function keyPlace(model: Model, fields: readonly Field[], name: string): number {
  const place = fields.findIndex((field) => field.name === name);
  const field = fields[place];
  if (field === undefined) {
    const like = closest(
      name,
      fields.map((each) => each.name),
    );
    const hint = like === null ? "" : `; did you mean ${like}?`;
    throw new TailraceError("source.model", `model ${model.name}: there is no column ${name} for its key${hint}`);
  }
  if (!canBeKey(field))
    throw new TailraceError(
      "source.model",
      `model ${model.name}: its key ${name} is of type ${typeOf(field)}, or has a collation; it cannot tell rows apart`,
    );
  return place;
}
