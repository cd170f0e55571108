// From what the stream announces (names, type OIDs) to what rows are read with. Asks the catalogue at most once for
// each RELATION message that differs, never for a row.
import { TailraceError } from "../../contracts/errors.ts";
import type { Log } from "../../contracts/log.ts";
import type { Column, Relation } from "../../contracts/relation.ts";
import type { ReplicaIdentity, TableInfo } from "./catalog.ts";
import type { RowShape } from "./pgoutput.ts";
import { keyOf } from "./describe.ts";
import type { PublishedTable } from "./published-table.ts";
import type { RelationMessage, RelationMessageColumn } from "./relation-message.ts";
import type { RelationVersions } from "../../kit/relation-versions.ts";

/** How a column's texts are read. */
export interface ReadColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly column: Column;
  readonly normalise: ((text: string) => string) | null;
}

export interface Catalogue {
  /** The table as it is now; null: it is gone. */
  table(oid: string): Promise<TableInfo | null>;
  /** Columns that the catalogue may not have any more: by type only. */
  columns(columns: readonly RelationMessageColumn[], announced: AnnouncedTypes): Promise<readonly ReadColumn[]>;
  /** Why the stream may hold rows of a table that no model names. */
  stranger(
    oid: string,
    publication: string,
  ): Promise<{
    readonly published: boolean;
    /** Of a partition: itself and what it is a part of. */
    readonly ancestors: readonly string[];
  }>;
}

export type AnnouncedTypes = ReadonlyMap<number, { readonly namespace: string; readonly name: string }>;

export interface TableShapesOptions {
  readonly catalogue: Catalogue;
  readonly versions: RelationVersions;
  readonly publication: string;
  /** The publication may hold tables that are none of ours. */
  readonly publicationShared: boolean;
  readonly log: Log;
}

interface Partitioned {
  /** Given out: changed in place, because the stream does not ask again. */
  readonly shape: { -readonly [K in keyof RowShape]: RowShape[K] };
  readonly announced: RelationMessage;
  readonly info: TableInfo;
  /** Partitions as the stream announced them, by OID: how it logs the rows that follow. */
  readonly leaves: Map<string, ReplicaIdentity>;
}

export class TableShapes {
  readonly #wanted: ReadonlyMap<string, PublishedTable>;
  readonly #options: TableShapesOptions;
  /** As the catalogue had them when last asked. */
  readonly #infos = new Map<string, TableInfo>();
  /** What was given out for partitioned tables, to be set right when a partition turns out to be logged otherwise. */
  readonly #partitioned = new Map<string, Partitioned>();

  constructor(wanted: ReadonlyMap<string, PublishedTable>, options: TableShapesOptions) {
    this.#wanted = wanted;
    this.#options = options;
  }

  async shapeOf(message: RelationMessage, announced: AnnouncedTypes): Promise<RowShape | TailraceError | null> {
    const oid = String(message.oid);
    const wanted = this.#wanted.get(oid);
    if (!wanted) return this.#stranger(message);
    // A query may name it through a view, which follows it.
    if (wanted.model && (message.namespace !== wanted.namespace || message.name !== wanted.name)) {
      throw new TailraceError(
        "source.model",
        `table ${wanted.namespace}.${wanted.name} is now ${message.namespace}.${message.name}: correct model ${wanted.models.join(", ")}`,
      );
    }
    let info: TableInfo | null = this.#infos.get(oid) ?? wanted.info;
    if (!sameColumns(info, message)) {
      info = await this.#options.catalogue.table(oid);
      if (info) this.#infos.set(oid, info);
    }
    const columns = await this.#columns(info, message, announced);
    const table = info ?? wanted.info;
    const key = keyPlaces(wanted, table, columns);
    const leaves = this.#partitioned.get(oid)?.leaves ?? new Map<string, ReplicaIdentity>();
    const identity = identityOf(message, table, leaves);
    const relation: Relation = {
      id: oid,
      namespace: message.namespace,
      name: message.name,
      version: 0,
      columns: columns.map((column) => column.column),
      key,
      oldRows: identity.full ? "full" : "key",
      keptPlaces: keptPlaces(columns, identity),
    };
    const shape = {
      relation: this.#options.versions.intern(relation),
      normalise: columns.map((column) => column.normalise),
      inOldKey: columns.map((column) => identity.columns.has(column.name)),
    };
    if (table.kind === "p") this.#partitioned.set(oid, { shape, announced: message, info: table, leaves });
    return shape;
  }

  /**
   * The stream announces a partition after its root and before its first row, and again when its identity changes. Its
   * rows come under the root, but their old values are logged by its own identity.
   */
  #partitionAnnounced(root: string, message: RelationMessage): void {
    const known = this.#partitioned.get(root);
    if (!known) return;
    const { shape, announced, info, leaves } = known;
    leaves.set(String(message.oid), announcedIdentity(message));
    const identity = identityOf(announced, info, leaves);
    const { columns } = shape.relation;
    shape.inOldKey = columns.map((column) => identity.columns.has(column.name));
    shape.relation = this.#options.versions.intern({
      ...shape.relation,
      oldRows: identity.full ? "full" : "key",
      keptPlaces: keptPlaces(columns, identity),
    });
  }

  /** The catalogue's columns where they are those of the rows, which may be older than the last DDL. */
  async #columns(
    info: TableInfo | null,
    message: RelationMessage,
    announced: AnnouncedTypes,
  ): Promise<readonly ReadColumn[]> {
    const known = new Map<string, ReadColumn>(
      info?.columns.map((column) => [`${column.typeOid} ${column.name}`, column]),
    );
    const unknown = message.columns.filter((column) => !known.has(`${column.typeOid} ${column.name}`));
    if (unknown.length > 0) {
      for (const column of await this.#options.catalogue.columns(unknown, announced)) {
        known.set(`${column.typeOid} ${column.name}`, column);
      }
    }
    return message.columns.map((column) => known.get(`${column.typeOid} ${column.name}`)!);
  }

  /**
   * A table that no model names. One that a model named earlier may still be in the log: its rows are passed over.
   * Rows that could belong to a model, or of a table that somebody publishes now, stop the reading.
   */
  async #stranger(message: RelationMessage): Promise<TailraceError | null> {
    const shown = `${message.namespace}.${message.name}`;
    for (const table of this.#wanted.values()) {
      if (table.namespace === message.namespace && table.name === message.name) {
        return new TailraceError(
          "source.gap.publication",
          `table ${shown} is another one than the one that was read before`,
        );
      }
    }
    const { published, ancestors } = await this.#options.catalogue.stranger(
      String(message.oid),
      this.#options.publication,
    );
    const root = ancestors.map((oid) => this.#wanted.get(oid)).find((table) => table !== undefined);
    if (root) {
      this.#partitionAnnounced(root.oid, message);
      return new TailraceError(
        "source.gap.publication",
        `rows of partition ${shown} came under its own name, not under ${root.namespace}.${root.name}: ` +
          `the publication's publish_via_partition_root was off`,
      );
    }
    const partition = [...this.#wanted.values()].find(({ info }) => info.root?.oid === String(message.oid));
    if (partition) {
      return new TailraceError(
        "source.config",
        `the publication holds ${shown}, so rows of its partition ${partition.sql} come under that name: make it the model instead`,
      );
    }
    if (published && !this.#options.publicationShared) {
      return new TailraceError(
        "source.model",
        `the publication holds table ${shown}, which no model names: take it out`,
      );
    }
    if (ancestors.length === 0)
      this.#options.log.info("rows of a table that is not read any more are passed over", { table: shown });
    return null;
  }
}

/** Places of what a table's changes are told apart by; empty where only queries read it and its rows have no whole primary key. */
function keyPlaces(wanted: PublishedTable, info: TableInfo, columns: readonly ReadColumn[]): readonly number[] {
  const names = wanted.model ? keyOf(wanted.model, info).names : (info.primaryKey ?? []);
  const places = names.map((name) => columns.findIndex((column) => column.name === name));
  if (!places.includes(-1)) return places;
  if (wanted.model === null) return [];
  const missing = names.filter((_, i) => places[i] === -1).join(", ");
  throw new TailraceError(
    "source.model",
    `the log's rows of ${wanted.sql} have no column ${missing}, which is its key now`,
  );
}

interface OldRows {
  readonly full: boolean;
  /** Names of the columns that an old row holds. */
  readonly columns: ReadonlySet<string>;
}

/**
 * What an old row holds. The rows of a partitioned table are logged by each partition's identity; when the root says
 * FULL and a partition does not, the server still marks the old row as whole, with nulls for what it does not have.
 */
function identityOf(
  message: RelationMessage,
  info: TableInfo,
  announced: ReadonlyMap<string, ReplicaIdentity>,
): OldRows {
  const own = announcedIdentity(message);
  if (info.kind !== "p") return { full: own.kind === "full", columns: new Set(own.columns) };
  const leaves = [...info.leaves.map((leaf) => leaf.replicaIdentity), ...announced.values()];
  const partial = leaves.filter((identity) => identity.kind !== "full");
  const names = message.columns.map((column) => column.name);
  const columns = names.filter((name) => partial.every((identity) => identity.columns.includes(name)));
  return { full: own.kind === "full" && partial.length === 0, columns: new Set(columns) };
}

function keptPlaces(columns: readonly { readonly name: string }[], identity: OldRows): readonly number[] {
  return [...columns.keys()].filter((place) => identity.columns.has(columns[place]!.name));
}

function announcedIdentity(message: RelationMessage): ReplicaIdentity {
  const full = message.identity === "f";
  const columns = message.columns.filter((column) => full || column.identity).map((column) => column.name);
  return { kind: full ? "full" : message.identity === "n" ? "nothing" : "index", columns };
}

function sameColumns(table: TableInfo, message: RelationMessage): boolean {
  const known = new Map(table.columns.map((column) => [column.name, column.typeOid]));
  return message.columns.every((column) => known.get(column.name) === column.typeOid);
}
