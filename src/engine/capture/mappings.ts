import { TailraceError } from "../../contracts/errors.ts";
import type { Log } from "../../contracts/log.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { Sync } from "../../contracts/sync.ts";
import { compileMapping, type Mapping } from "../mapping/compile.ts";

/**
 * A sync's mapping for whichever version of its relation a row comes with. Equal versions share one mapping, whether they came by
 * the stream or by a snapshot, so that waiting entries can be merged.
 */
export class Mappings {
  readonly #sync: Sync;
  readonly #log: Log;
  /** The newest last. A stream that is behind and a snapshot may differ for a while, but not by many versions. */
  readonly #compiled: Mapping[] = [];
  #last: { readonly relation: Relation; readonly mapping: Mapping } | null = null;

  /** The last one that the stream came with. */
  #streamed: Mapping | null = null;

  constructor(sync: Sync, log: Log) {
    this.#sync = sync;
    this.#log = log;
  }

  /** As {@link for}, for a row of the stream, whose versions come in their order: says what a new one means for rows that exist. */
  streamed(relation: Relation): Mapping {
    const mapping = this.for(relation);
    if (mapping !== this.#streamed) {
      if (this.#streamed !== null) this.#sayWhatIsNew(this.#streamed.relation, mapping.relation);
      this.#streamed = mapping;
    }
    return mapping;
  }

  /** Throws a config error when the sync does not fit the relation. */
  for(relation: Relation): Mapping {
    if (this.#last !== null && this.#last.relation === relation) return this.#last.mapping;
    const keyed = withDeclaredKey(relation, this.#sync.model.key);
    let mapping = this.#compiled.find((candidate) => sameColumns(candidate.relation, keyed));
    if (mapping === undefined) {
      mapping = compileMapping(this.#sync, keyed);
      this.#compiled.push(mapping);
      if (this.#compiled.length > KEPT) this.#compiled.shift();
    }
    this.#last = { relation, mapping };
    return mapping;
  }

  /** A column that is added changes no row for the log, not even when it has a default. */
  #sayWhatIsNew(before: Relation, now: Relation): void {
    const { name, map, mode } = this.#sync;
    if (map !== null || mode === "event" || mode === "insert") return;
    const added = now.columns.filter((column) => !before.columns.some((known) => known.name === column.name));
    if (added.length === 0) return;
    this.#log.warn(
      `the table has a new column, which is sent with every row that changes from now on; rows that do not change keep lacking it at the destination until \`tailrace resync ${name}\` sends them again`,
      { columns: added.map((column) => column.name).join(", ") },
    );
  }
}

const KEPT = 8;

/** The relation with the model's declared key, where it declares one. */
export function withDeclaredKey(relation: Relation, key: readonly string[] | null): Relation {
  if (key === null) return relation;
  const places = key.map((name) => relation.columns.findIndex((column) => column.name === name));
  const missing = key[places.indexOf(-1)];
  if (missing !== undefined) {
    throw new TailraceError(
      "source.model",
      `${relation.namespace}.${relation.name} has no column \`${missing}\`, which the model declares as its key.`,
    );
  }
  return { ...relation, key: places };
}

function sameColumns(a: Relation, b: Relation): boolean {
  return (
    a.id === b.id &&
    a.oldRows === b.oldRows &&
    a.columns.length === b.columns.length &&
    a.key.length === b.key.length &&
    a.key.every((place, index) => place === b.key[index]) &&
    a.columns.every((column, place) => column.name === b.columns[place]!.name && column.type === b.columns[place]!.type)
  );
}
