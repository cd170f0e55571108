// From a TABLE_MAP event to how its rows are read. With full metadata the event names its columns; otherwise they are
// those of the catalogue, if these can be the same. Asks the catalogue once for each shape that differs.
import { TailraceError } from "../../contracts/errors.ts";
import type { Column, Relation } from "../../contracts/relation.ts";
import { type TableColumn, type TableInfo, describeTable } from "./catalog.ts";
import { columnOf } from "./columns.ts";
import { relationId } from "./describe.ts";
import type { RelationVersions } from "../../kit/relation-versions.ts";
import type { SqlSession } from "./sql-session.ts";
import type { TableShape } from "./table-shape.ts";
import { textDecoder } from "./values/charsets.ts";
import { decoderFor } from "./values/decoders.ts";
import type { TableMap } from "./wire/table-map.ts";
import { TYPE, type WireColumn } from "./wire/types.ts";
import { couldBe, typeNameOf } from "./wire/type-names.ts";

export interface TableShapesOptions {
  readonly side: SqlSession;
  readonly versions: RelationVersions;
  readonly mariadb: boolean;
  /** By the numbers of their collations. */
  readonly charsets: ReadonlyMap<number, string>;
  /** Names of the key's columns, in key order, by {@link relationId}. */
  readonly keys: ReadonlyMap<string, readonly string[]>;
}

/** A session that is asked beside the stream and does not answer for so long is cut: the stream must not stall on it. */
const ANSWER_WITHIN_MS = 20_000;

export class TableShapes {
  readonly #options: TableShapesOptions;

  constructor(options: TableShapesOptions) {
    this.#options = options;
  }

  /** Throws `source.gap.shape` when the rows cannot be read for sure. */
  async shapeOf(map: TableMap): Promise<TableShape> {
    const { side, mariadb } = this.#options;
    const table = await side.use(AbortSignal.timeout(ANSWER_WITHIN_MS), (connection) =>
      describeTable(connection, mariadb, map.database, map.table),
    );
    const known = knownColumns(map, table);
    const columns = map.columns.map((wire, i) => {
      const { name, collation } = wire;
      const column = known[i] ?? null;
      const charset = collation === null ? null : (this.#options.charsets.get(collation) ?? null);
      return { wire, name: name ?? column!.name, column, charset: charset ?? column?.charset ?? "binary" };
    });
    const read = columns.filter(({ column }) => column?.generated !== "virtual");
    const decoders = columns.map(({ wire, column, charset }) =>
      decoderFor(wire, {
        unsigned: wire.unsigned ?? column?.unsigned ?? false,
        charset,
        members: wire.members?.map((member) => textDecoder(charset)(member, 0, member.length)) ?? column?.members ?? [],
        typeName: column?.dataType ?? "",
      }),
    );
    const relation = this.#relation(
      map,
      read.map(({ wire, name, column, charset }) => columnFrom(wire, name, column, charset)),
    );
    return {
      decoders,
      places: columns.map((column) => read.indexOf(column)),
      full: this.#options.versions.intern({ ...relation, oldRows: "full" }),
      // An update without an old row has not changed the key.
      keyed: this.#options.versions.intern({ ...relation, oldRows: "key", keptPlaces: relation.key }),
    };
  }

  #relation({ database, table }: TableMap, columns: readonly Column[]): Relation {
    const id = relationId(database, table);
    const key = this.#options.keys.get(id)!.map((name) => columns.findIndex((column) => column.name === name));
    if (key.includes(-1)) {
      throw new TailraceError("source.gap.shape", `the log holds rows of ${id} without the column that is its key now`);
    }
    return { id, namespace: database, name: table, version: 0, columns, key, oldRows: "full" };
  }
}

/** The catalogue's column for each one of the log; null: it has none that could be it. */
function knownColumns({ database, table, columns }: TableMap, info: TableInfo | null): readonly (TableColumn | null)[] {
  const present = info?.columns ?? [];
  if (columns.every(({ name }) => name !== null)) {
    const byName = new Map(present.map((column) => [column.name, column]));
    return columns.map((wire) => {
      const column = byName.get(wire.name!) ?? null;
      return column !== null && couldBe(wire, column) ? column : null;
    });
  }
  if (present.length !== columns.length || !columns.every((wire, i) => couldBe(wire, present[i]!))) {
    throw new TailraceError(
      "source.gap.shape",
      `the log holds rows of ${relationId(database, table)} as it was before it was altered, and does not name their columns: set binlog_row_metadata=FULL, then resync`,
    );
  }
  return present;
}

function columnFrom(wire: WireColumn, name: string, column: TableColumn | null, charset: string): Column {
  const unsigned = wire.unsigned ?? column?.unsigned ?? false;
  return columnOf({
    name,
    dataType: column?.dataType ?? typeNameOf(wire, charset),
    unsigned: unsigned && wire.type !== TYPE.year,
    nullable: wire.nullable,
    isJson: column?.isJson ?? wire.type === TYPE.json,
  });
}
