import type { BackfillProgress, HeldDeletes, SyncState } from "../../contracts/state.ts";
import { checksum, contentName } from "../checksum.ts";
import type { Names } from "./schema.ts";
import type { Row, Session } from "./sessions.ts";
import { corrupt } from "./state-error.ts";

/** Which commit wrote a row: the holder's epoch, and the how-manieth of its commits it was. */
export interface Mark {
  readonly epoch: number;
  readonly serial: number;
}

export interface StoredSync {
  readonly state: SyncState;
  readonly mark: Mark;
}

const COLUMNS = [
  "name",
  "position",
  "incarnation",
  "backfill",
  "paused",
  "stopped",
  "generation",
  "delivered",
  "rejected",
  "epoch",
  "serial",
  "held",
  "writer",
] as const;
const SELECTED = COLUMNS.map((column) => `${column}::text AS ${column}`).join(", ");

/** The rows of table `sync`: one a sync, rewritten by every commit. */
export class SyncRows {
  readonly #table: string;
  readonly #where: string;

  constructor(names: Names, where: string) {
    this.#table = names.sync;
    this.#where = where;
  }

  async load(session: Session, sync: string): Promise<StoredSync | null> {
    const [row] = await session.rows(`SELECT ${SELECTED}, checksum FROM ${this.#table} WHERE name = $1`, [sync]);
    return row === undefined ? null : this.#decode(row);
  }

  async all(session: Session): Promise<ReadonlyMap<string, SyncState>> {
    const rows = await session.rows(`SELECT ${SELECTED}, checksum FROM ${this.#table}`);
    return new Map(rows.map((row) => [row["name"] ?? "", this.#decode(row).state]));
  }

  /** Inside a transaction that has proven the lease. `before` is what is stored now. */
  async save(session: Session, sync: string, stored: StoredSync, before: SyncState | null): Promise<void> {
    const { state, mark } = stored;
    const { checkpoint, counts } = state;
    const values: Record<(typeof COLUMNS)[number] | "checksum", string | null> = {
      name: sync,
      position: checkpoint?.position ?? null,
      incarnation: checkpoint?.incarnation ?? null,
      backfill: checkpoint?.backfill ? JSON.stringify(checkpoint.backfill) : null,
      paused: String(state.paused),
      stopped: state.stopped === null ? null : JSON.stringify(state.stopped),
      generation: String(state.generation),
      delivered: String(counts.delivered),
      rejected: String(counts.rejected),
      epoch: String(mark.epoch),
      serial: String(mark.serial),
      held: state.heldDeletes === null ? null : JSON.stringify(state.heldDeletes),
      writer: state.writerMemory,
      checksum: "",
    };
    values.checksum = sumOf(values);
    const same = before?.checkpoint?.incarnation === checkpoint?.incarnation;
    const columns = [...COLUMNS, "checksum" as const].filter(
      (column) => before === null || column !== "incarnation" || !same,
    );
    const places = columns.map((_, at) => `$${at + 1}`);
    await session.rows(
      before === null
        ? `INSERT INTO ${this.#table} (${columns.join(", ")}) VALUES (${places.join(", ")})`
        : `UPDATE ${this.#table} SET ${columns.map((column, at) => `${column} = ${places[at]}`).join(", ")} WHERE name = $1`,
      columns.map((column) => values[column]),
    );
  }

  async remove(session: Session, sync: string): Promise<void> {
    await session.rows(`DELETE FROM ${this.#table} WHERE name = $1`, [sync]);
  }

  #decode(row: Row): StoredSync {
    if (sumOf(row) !== row["checksum"]) throw corrupt(this.#where, "the row of a sync does not match its checksum");
    const { position, incarnation, backfill, stopped, held } = row;
    return {
      state: {
        checkpoint:
          typeof position !== "string"
            ? null
            : {
                position,
                incarnation: incarnation ?? "",
                backfill: typeof backfill === "string" ? (JSON.parse(backfill) as BackfillProgress) : null,
              },
        paused: row["paused"] === "true",
        stopped: typeof stopped === "string" ? (JSON.parse(stopped) as SyncState["stopped"]) : null,
        generation: Number(row["generation"]),
        counts: { delivered: Number(row["delivered"]), rejected: Number(row["rejected"]) },
        heldDeletes: typeof held === "string" ? (JSON.parse(held) as HeldDeletes) : null,
        writerMemory: row["writer"] ?? null,
      },
      mark: { epoch: Number(row["epoch"]), serial: Number(row["serial"]) },
    };
  }
}

function sumOf(row: Row): string {
  return checksum(
    "sync",
    // Rows from before these two were there have a sum without them.
    COLUMNS.filter((column) => (column !== "held" && column !== "writer") || typeof row[column] === "string").map(
      (column) => {
        const value = row[column] ?? null;
        return column === "incarnation" && value !== null ? contentName(value) : value;
      },
    ),
  );
}
