import type { Relation } from "../contracts/relation.ts";

/**
 * One object for every shape of a table that was seen in this process, whether by the catalogue or by the stream, so
 * that what is compiled for (id, version) fits both.
 */
export class RelationVersions {
  readonly #known = new Map<string, Map<string, Relation>>();

  /** The relation of that shape; its version is the next one of its table when the shape is new. */
  intern(relation: Relation): Relation {
    let shapes = this.#known.get(relation.id);
    if (!shapes) this.#known.set(relation.id, (shapes = new Map()));
    const signature = JSON.stringify([
      relation.namespace,
      relation.name,
      relation.columns.map((column) => [column.name, column.type, column.nullable]),
      relation.key,
      relation.oldRows,
      relation.keptPlaces,
    ]);
    const known = shapes.get(signature);
    if (known) return known;
    const made = { ...relation, version: shapes.size + 1 };
    shapes.set(signature, made);
    return made;
  }
}
