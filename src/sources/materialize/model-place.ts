// Where a model's rows are, and what they look like.
import { createHash } from "node:crypto";
import type { FieldDef } from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import type { Model } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { RelationVersions } from "../../kit/relation-versions.ts";
import { quoteName } from "../../kit/sql.ts";
import type { Sessions } from "./sessions.ts";
import { asSourceError } from "./source-error.ts";
import { describe, identify } from "./statements.ts";
import { canBeKey, columnOf } from "./types.ts";

export class ModelPlace {
  /** What stands in FROM, and behind SUBSCRIBE. */
  readonly from: string;
  /** For messages. */
  readonly label: string;
  readonly model: Model;
  readonly #sessions: Sessions;
  readonly #versions: RelationVersions;
  readonly #schema: string;

  constructor(model: Model, schema: string, sessions: Sessions, versions: RelationVersions) {
    this.model = model;
    this.label = `model \`${model.name}\``;
    this.#sessions = sessions;
    this.#versions = versions;
    this.#schema = (model.kind === "table" ? model.table.namespace : null) ?? schema;
    this.from = model.kind === "table" ? quoteName(this.#schema, model.table.name) : `(\n${model.sql}\n)`;
  }

  /** Another one where timestamps mean another history: an object that was made again, another query. */
  async incarnation(signal: AbortSignal): Promise<string> {
    const { model } = this;
    if (model.kind === "query") return `query ${createHash("sha256").update(model.sql).digest("hex")}`;
    const { rows } = await this.guard(signal, () =>
      this.#sessions.rows(identify(this.#schema, model.table.name), signal),
    );
    const [row] = rows;
    if (row === undefined)
      throw new TailraceError("source.model", `${this.label}: there is no ${this.from} in this database`);
    return `object ${row[0]}`;
  }

  async relation(signal: AbortSignal): Promise<Relation> {
    const { fields } = await this.guard(signal, () => this.#sessions.rows(describe(this.from), signal));
    return this.relationOf(fields);
  }

  /** Throws `source.model` when the key is not among the columns, or of a type that cannot be one. */
  relationOf(fields: readonly FieldDef[]): Relation {
    const { model, label } = this;
    if (model.key === null)
      throw new TailraceError("source.model", `${label} needs \`key\`: Materialize keeps no primary keys`);
    const key = model.key.map((name) => {
      const place = fields.findIndex((field) => field.name === name);
      if (place < 0) throw new TailraceError("source.model", `${label} has no column \`${name}\`, which its key names`);
      if (!canBeKey(fields[place]!))
        throw new TailraceError("source.model", `${label}: \`${name}\` cannot be a key by its type`);
      return place;
    });
    return this.#versions.intern({
      id: model.kind === "table" ? this.from : `query ${model.name}`,
      namespace: model.kind === "table" ? this.#schema : "",
      name: model.kind === "table" ? model.table.name : model.name,
      version: 0,
      columns: fields.map(columnOf),
      key,
      oldRows: "full",
    });
  }

  async guard<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.error(error, signal);
    }
  }

  error(error: unknown, signal: AbortSignal): unknown {
    return signal.aborted ? signal.reason : asSourceError(error, this.label);
  }
}
