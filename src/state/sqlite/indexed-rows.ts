import type { IndexedRow, KnownRows, RowIndexOptions, SentRow } from "../../contracts/row-index.ts";
import { announced } from "../../kit/row-index/announced.ts";
import { keyParts, partsText } from "../../kit/row-index/key-parts.ts";
import { knownRows, storedIdentity } from "../../kit/row-index/stored-identity.ts";
import type { Connection } from "./connection.ts";
import { type FoundText, type RowText, rowOf, toFound } from "./row-text.ts";

/** Rows of one page. */
const PAGE = 10_000;

const FIELDS = "r.place, r.version, r.confirmed, lower(hex(r.hash)), r.record, json(r.identity)";

// Left, so that the asked keys are gone through in their order.
const FIND = `
  SELECT json_group_array(CASE WHEN r.key IS NULL THEN NULL ELSE json_array(${FIELDS}) END) AS list
  FROM json_each(?2) AS asked LEFT JOIN indexed AS r ON r.model = ?1 AND r.key = asked.value`;

const PUT = `
  INSERT INTO indexed (model, key, place, version, confirmed, hash, record, identity)
  SELECT ?1, value ->> 0, value ->> 1, value ->> 2, 0, unhex(value ->> 3), value ->> 4, nullif(value -> 5, 'null')
  FROM json_each(?2) WHERE true
  ON CONFLICT (model, key) DO UPDATE SET version = excluded.version, confirmed = 0,
    hash = excluded.hash, record = excluded.record, identity = excluded.identity`;

// As a list, and not joined: SQLite would go through the whole index for that.
const ACCEPTED = "model = ?1 AND (key, version) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?2))";

export interface OpenedRows {
  readonly id: number;
  readonly isNew: boolean;
  readonly rows: number;
}

/**
 * The tables of the indexes of rows: what each sync last sent of each row. Lists come and go as JSON, which SQLite takes apart and puts
 * together itself. Announcing, confirming and opening happen in one transaction each, made by the caller.
 */
export class IndexedRows {
  readonly #connection: Connection;
  /** The parts of each open index. */
  readonly #parts = new Map<number, RowIndexOptions["parts"]>();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  known(sync: string): KnownRows | null {
    const known = this.#connection.get("SELECT identity, rows FROM indexed_model WHERE sync = ?", sync);
    return known === undefined ? null : knownRows(String(known["identity"]), Number(known["rows"]));
  }

  open(sync: string, options: RowIndexOptions): OpenedRows {
    const { parts } = options;
    const connection = this.#connection;
    const known = connection.get("SELECT id, identity, parts, last, rows FROM indexed_model WHERE sync = ?", sync);
    let id = Number(known?.["id"]);
    const stored = storedIdentity(options);
    const isNew = known === undefined || knownRows(String(known["identity"]), 0).identity !== options.identity;
    if (isNew) {
      if (known !== undefined) this.#remove(id);
      const made = connection.get(
        "INSERT INTO indexed_model (sync, identity, parts, last, places, rows) VALUES (?, ?, ?, ?, 0, 0) RETURNING id",
        sync,
        stored,
        partsText(parts),
        // The versions go on, where they are known.
        Number(known?.["last"] ?? 0),
      );
      id = Number(made?.["id"]);
    } else {
      if (known["identity"] !== stored)
        connection.run("UPDATE indexed_model SET identity = ? WHERE id = ?", stored, id);
      if (known["parts"] !== partsText(parts)) this.#divide(id, parts);
    }
    this.#parts.set(id, parts);
    const count = connection.get("SELECT count(*) AS rows FROM indexed WHERE model = ?", id);
    return { id, isNew, rows: Number(count?.["rows"]) };
  }

  /** `keys`: JSON. JSON of a {@link FoundText} each. */
  find(id: number, keys: string): string {
    return String(this.#connection.get(FIND, id, keys)?.["list"]);
  }

  /** `list`: JSON of a {@link RowText} each. */
  announce(id: number, list: string): { readonly versions: readonly number[]; readonly rows: number } {
    const connection = this.#connection;
    const rows = (JSON.parse(list) as RowText[]).map((text): SentRow => rowOf(text));
    const keys = rows.map(({ key }) => key);
    const found = JSON.parse(this.find(id, JSON.stringify(keys))) as FoundText[];
    const known = found.map((text, at): IndexedRow | null => toFound(keys[at]!, text));

    const { last, places, rows: before } = this.#model(id);
    const wanted = known.filter((row) => row === null).length;
    const free = wanted === 0 ? [] : this.#freePlaces(id, wanted);
    const made = Array.from({ length: wanted - free.length }, (_, n) => places + n);
    const announcement = announced(rows, known, [...free, ...made], last);

    const texts = announcement.rows.map((row) => [
      row.key,
      row.place,
      row.version,
      row.hash,
      row.recordKey,
      row.identity,
    ]);
    connection.run(PUT, id, JSON.stringify(texts));
    const lastFree = free.at(-1);
    if (lastFree !== undefined) connection.run("DELETE FROM indexed_free WHERE model = ? AND place <= ?", id, lastFree);
    connection.run(
      "UPDATE indexed_model SET last = ?, places = ?, rows = ? WHERE id = ?",
      announcement.last,
      places + made.length,
      before + wanted,
      id,
    );
    for (const key of announcement.added) this.#addParts(id, key, this.#parts.get(id) ?? []);
    return { versions: announcement.rows.map(({ version }) => version), rows: before + wanted };
  }

  /** `list`: JSON of [key, version] pairs. How many rows are in it then. */
  confirm(id: number, list: string): number {
    const connection = this.#connection;
    const removed = connection.all(
      `DELETE FROM indexed WHERE ${ACCEPTED} AND hash IS NULL RETURNING key, place`,
      id,
      list,
    );
    for (const row of removed) {
      connection.run("INSERT INTO indexed_free (model, place) VALUES (?, ?)", id, row["place"]!);
      this.#removeParts(id, String(row["key"]));
    }
    connection.run(`UPDATE indexed SET confirmed = 1 WHERE ${ACCEPTED} AND confirmed = 0`, id, list);
    const left = connection.get(
      "UPDATE indexed_model SET rows = rows - ? WHERE id = ? RETURNING rows",
      removed.length,
      id,
    );
    return Number(left?.["rows"]);
  }

  /** `values`: JSON of a list of `partText`s. */
  matching(id: number, places: readonly number[], values: string): string[] {
    return this.#connection
      .all(
        `SELECT key FROM indexed_part
         WHERE model = ?1 AND places = ?2 AND value IN (SELECT value FROM json_each(?3))`,
        id,
        JSON.stringify(places),
        values,
      )
      .map((row) => String(row["key"]));
  }

  /** JSON of a list of [key, {@link FoundText}] pairs. */
  page(id: number, after: string | null): { readonly list: string; readonly isLast: boolean } {
    // Two statements: with "or there is none" in one, SQLite would go through all that is before it.
    const beyond = after === null ? "" : "AND key > ?2";
    const page = this.#connection.get(
      `SELECT count(*) AS rows, json_group_array(json_array(r.key, json_array(${FIELDS}))) AS list
       FROM (SELECT * FROM indexed WHERE model = ?1 ${beyond} ORDER BY key LIMIT ${PAGE}) AS r`,
      ...(after === null ? [id] : [id, after]),
    );
    return { list: String(page?.["list"]), isLast: Number(page?.["rows"]) < PAGE };
  }

  remove(sync: string): void {
    const known = this.#connection.get("SELECT id FROM indexed_model WHERE sync = ?", sync);
    if (known !== undefined) this.#remove(Number(known["id"]));
  }

  #model(id: number): { readonly last: number; readonly places: number; readonly rows: number } {
    const model = this.#connection.get("SELECT last, places, rows FROM indexed_model WHERE id = ?", id);
    return { last: Number(model?.["last"]), places: Number(model?.["places"]), rows: Number(model?.["rows"]) };
  }

  #freePlaces(id: number, most: number): number[] {
    return this.#connection
      .all("SELECT place FROM indexed_free WHERE model = ? ORDER BY place LIMIT ?", id, most)
      .map((row) => Number(row["place"]));
  }

  /** The parts of every row anew. */
  #divide(id: number, parts: RowIndexOptions["parts"]): void {
    const connection = this.#connection;
    connection.run("DELETE FROM indexed_part WHERE model = ?", id);
    if (parts.length > 0)
      connection.each(
        (row) => this.#addParts(id, String(row["key"]), parts),
        "SELECT key FROM indexed WHERE model = ? ORDER BY key",
        id,
      );
    connection.run("UPDATE indexed_model SET parts = ? WHERE id = ?", partsText(parts), id);
  }

  #addParts(id: number, key: string, parts: RowIndexOptions["parts"]): void {
    for (const { places, value } of keyParts(key, parts))
      this.#connection.run(
        "INSERT INTO indexed_part (model, places, value, key) VALUES (?, ?, ?, ?)",
        id,
        places,
        value,
        key,
      );
  }

  #removeParts(id: number, key: string): void {
    for (const { places, value } of keyParts(key, this.#parts.get(id) ?? []))
      this.#connection.run(
        "DELETE FROM indexed_part WHERE model = ? AND places = ? AND value = ? AND key = ?",
        id,
        places,
        value,
        key,
      );
  }

  #remove(id: number): void {
    for (const table of ["indexed", "indexed_free", "indexed_part"])
      this.#connection.run(`DELETE FROM ${table} WHERE model = ?`, id);
    this.#connection.run("DELETE FROM indexed_model WHERE id = ?", id);
  }
}
