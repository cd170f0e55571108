import type { BackfillProgress, Checkpoint, HeldDeletes, SyncState } from "../../contracts/state.ts";
import { checksum, contentName } from "../checksum.ts";
import type { Connection, Row } from "./connection.ts";
import { corrupt } from "./sqlite-error.ts";

const COLUMNS =
  "name, position, incarnation, backfill, paused, stopped, generation, delivered, rejected, held, writer, checksum";

/** The rows of table `sync`: one a sync, rewritten by every commit, and therefore small. */
export class SyncRows {
  readonly #connection: Connection;
  /** Incarnations already read and verified, by their hash. */
  readonly #incarnations = new Map<string, string>();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  load(sync: string): SyncState | null {
    const row = this.#connection.get(`SELECT ${COLUMNS} FROM sync WHERE name = ?`, sync);
    return row === undefined ? null : this.#decode(row);
  }

  all(): ReadonlyMap<string, SyncState> {
    const states = new Map<string, SyncState>();
    for (const row of this.#connection.all(`SELECT ${COLUMNS} FROM sync`)) {
      const state = this.#decode(row);
      states.set(String(row["name"]), state);
    }
    return states;
  }

  /** Inside a write transaction. */
  save(sync: string, state: SyncState, before: SyncState | null): void {
    const { checkpoint, counts } = state;
    let incarnation: string | null = null;
    if (checkpoint !== null) {
      incarnation = contentName(checkpoint.incarnation);
      if (before?.checkpoint?.incarnation !== checkpoint.incarnation)
        this.#connection.run(
          "INSERT INTO incarnation (hash, text) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING",
          incarnation,
          checkpoint.incarnation,
        );
    }
    const content = [
      sync,
      checkpoint?.position ?? null,
      incarnation,
      checkpoint?.backfill ? JSON.stringify(checkpoint.backfill) : null,
      state.paused ? 1 : 0,
      state.stopped === null ? null : JSON.stringify(state.stopped),
      state.generation,
      counts.delivered,
      counts.rejected,
      state.heldDeletes === null ? null : JSON.stringify(state.heldDeletes),
      state.writerMemory,
    ];
    this.#connection.run(
      `INSERT INTO sync (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (name) DO UPDATE SET position = excluded.position, incarnation = excluded.incarnation,
         backfill = excluded.backfill, paused = excluded.paused, stopped = excluded.stopped,
         generation = excluded.generation, delivered = excluded.delivered, rejected = excluded.rejected,
         held = excluded.held, writer = excluded.writer, checksum = excluded.checksum`,
      ...content,
      sumOf(content),
    );
    if (before?.checkpoint && before.checkpoint.incarnation !== checkpoint?.incarnation) this.#prune(before.checkpoint);
  }

  forget(sync: string): void {
    const before = this.load(sync);
    this.#connection.run("DELETE FROM sync WHERE name = ?", sync);
    if (before?.checkpoint) this.#prune(before.checkpoint);
  }

  #prune(checkpoint: Checkpoint): void {
    const name = contentName(checkpoint.incarnation);
    this.#connection.run(
      "DELETE FROM incarnation WHERE hash = ? AND NOT EXISTS (SELECT 1 FROM sync WHERE incarnation = ?)",
      name,
      name,
    );
    this.#incarnations.delete(name);
  }

  #decode(row: Row): SyncState {
    const [name, position, incarnation, backfill, paused, stopped, generation, delivered, rejected, held, writer, sum] =
      COLUMNS.split(", ").map((column) => row[column] as string | number | null);
    const content = [
      name,
      position,
      incarnation,
      backfill,
      paused,
      stopped,
      generation,
      delivered,
      rejected,
      held,
      writer,
    ];
    if (sumOf(content as (string | number | null)[]) !== sum)
      throw corrupt(this.#connection.path, "the row of a sync does not match its checksum");
    return {
      checkpoint:
        typeof position !== "string"
          ? null
          : {
              position,
              incarnation: this.#incarnation(String(incarnation)),
              backfill: typeof backfill === "string" ? (JSON.parse(backfill) as BackfillProgress) : null,
            },
      paused: paused === 1,
      stopped: typeof stopped === "string" ? (JSON.parse(stopped) as SyncState["stopped"]) : null,
      generation: Number(generation),
      counts: { delivered: Number(delivered), rejected: Number(rejected) },
      heldDeletes: typeof held === "string" ? (JSON.parse(held) as HeldDeletes) : null,
      writerMemory: typeof writer === "string" ? writer : null,
    };
  }

  #incarnation(name: string): string {
    const known = this.#incarnations.get(name);
    if (known !== undefined) return known;
    const text = this.#connection.get("SELECT text FROM incarnation WHERE hash = ?", name)?.["text"];
    if (typeof text !== "string" || contentName(text) !== name)
      throw corrupt(this.#connection.path, "what belongs to a checkpoint (its incarnation) is missing or damaged");
    this.#incarnations.set(name, text);
    return text;
  }
}

/** Rows from before the last two columns were there have a sum without them. */
function sumOf(content: readonly (string | number | null)[]): string {
  let length = content.length;
  while (length > content.length - 2 && content[length - 1] === null) length -= 1;
  return checksum("sync", content.slice(0, length));
}
