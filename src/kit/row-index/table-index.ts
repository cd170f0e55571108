import type { IndexedRow, RowIndex, RowIndexOptions, RowPage, SentRow } from "../../contracts/row-index.ts";
import { announced, type AnnouncedRow } from "./announced.ts";
import { partText } from "./key-parts.ts";
import { addParts, type OpenedRows, removeParts } from "./open-tables.ts";
import type { Row, RowSession, RowTables } from "./tables.ts";

const PAGE = 5_000;

const FIELDS = "key, place, version, confirmed::text AS confirmed, encode(hash, 'hex') AS hash, record, identity";

/** How an index reads and writes: in a transaction that has proven that its holder still is, one after the other. */
export interface TableAccess {
  readonly names: RowTables;
  write<T>(work: (session: RowSession) => Promise<T>): Promise<T>;
  read<T>(work: (session: RowSession) => Promise<T>): Promise<T>;
}

/** The rows of table `indexed` of one sync, in PostgreSQL. */
export class TableRowIndex implements RowIndex {
  readonly isNew: boolean;
  readonly #sync: string;
  readonly #access: TableAccess;
  readonly #parts: RowIndexOptions["parts"];
  #rows: number;

  constructor(sync: string, access: TableAccess, parts: RowIndexOptions["parts"], opened: OpenedRows) {
    this.#sync = sync;
    this.#access = access;
    this.#parts = parts;
    this.isNew = opened.isNew;
    this.#rows = opened.rows;
  }

  get rows(): number {
    return this.#rows;
  }

  find(keys: readonly string[]): Promise<readonly (IndexedRow | null)[]> {
    return this.#access.read((session) => this.#find(session, keys));
  }

  async #find(session: RowSession, keys: readonly string[]): Promise<(IndexedRow | null)[]> {
    const rows = await session.rows(
      `SELECT ${FIELDS} FROM ${this.#access.names.indexed} WHERE sync = $1 AND key = ANY ($2)`,
      [this.#sync, [...keys]],
    );
    const found = new Map(rows.map((row) => [row["key"], indexedRow(row)]));
    return keys.map((key) => found.get(key) ?? null);
  }

  async announce(rows: readonly SentRow[]): Promise<readonly number[]> {
    const { names } = this.#access;
    const { versions, inIt } = await this.#access.write(async (session) => {
      const known = await this.#find(
        session,
        rows.map(({ key }) => key),
      );
      const wanted = known.filter((row) => row === null).length;
      const [model] = await session.rows(`SELECT last, places, rows FROM ${names.indexed_model} WHERE sync = $1`, [
        this.#sync,
      ]);
      const free = await this.#takeFree(session, wanted);
      const places = Number(model?.["places"]);
      const made = Array.from({ length: wanted - free.length }, (_, n) => places + n);
      const announcement = announced(rows, known, [...free, ...made], Number(model?.["last"]));
      await this.#put(session, announcement.rows);
      await addParts(session, names, this.#sync, announcement.added, this.#parts);
      const [then] = await session.rows(
        `UPDATE ${names.indexed_model} SET last = $2, places = places + $3, rows = rows + $4 WHERE sync = $1 RETURNING rows`,
        [this.#sync, announcement.last, made.length, wanted],
      );
      return { versions: announcement.rows.map(({ version }) => version), inIt: Number(then?.["rows"]) };
    });
    this.#rows = inIt;
    return versions;
  }

  async #takeFree(session: RowSession, most: number): Promise<number[]> {
    if (most === 0) return [];
    const { indexed_free } = this.#access.names;
    const rows = await session.rows(
      `DELETE FROM ${indexed_free} WHERE sync = $1 AND place IN
         (SELECT place FROM ${indexed_free} WHERE sync = $1 ORDER BY place LIMIT $2)
       RETURNING place`,
      [this.#sync, most],
    );
    return rows.map((row) => Number(row["place"]));
  }

  async #put(session: RowSession, rows: readonly AnnouncedRow[]): Promise<void> {
    await session.rows(
      `INSERT INTO ${this.#access.names.indexed} (sync, key, place, version, confirmed, hash, record, identity)
       SELECT $1::text, key, place, version, false, decode(hash, 'hex'), record, identity
       FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[])
         AS new (key, place, version, hash, record, identity) ORDER BY key
       ON CONFLICT (sync, key) DO UPDATE SET version = excluded.version, confirmed = false,
         hash = excluded.hash, record = excluded.record, identity = excluded.identity`,
      [
        this.#sync,
        rows.map(({ key }) => key),
        rows.map(({ place }) => place),
        rows.map(({ version }) => version),
        rows.map(({ hash }) => hash),
        rows.map(({ recordKey }) => recordKey),
        rows.map(({ identity }) => (identity === null ? null : JSON.stringify(identity))),
      ],
    );
  }

  async confirm(rows: readonly { readonly key: string; readonly version: number }[]): Promise<void> {
    const { names } = this.#access;
    const accepted = [this.#sync, rows.map(({ key }) => key), rows.map(({ version }) => version)];
    const from = "unnest($2::text[], $3::bigint[]) AS accepted (key, version)";
    // The list of keys beside the join: without it the planner may go through the whole index.
    const where =
      "indexed.sync = $1 AND indexed.key = ANY ($2) AND indexed.key = accepted.key AND indexed.version = accepted.version";
    this.#rows = await this.#access.write(async (session) => {
      const removed = await session.rows(
        `WITH removed AS (
           DELETE FROM ${names.indexed} AS indexed USING ${from} WHERE ${where} AND indexed.hash IS NULL
           RETURNING indexed.key, indexed.place
         ), freed AS (
           INSERT INTO ${names.indexed_free} (sync, place) SELECT $1::text, place FROM removed
         )
         SELECT key FROM removed`,
        accepted,
      );
      const keys = removed.map((row) => row["key"] ?? "");
      await removeParts(session, names, this.#sync, keys, this.#parts);
      await session.rows(
        `UPDATE ${names.indexed} AS indexed SET confirmed = true FROM ${from} WHERE ${where} AND NOT indexed.confirmed`,
        accepted,
      );
      const [then] = await session.rows(
        `UPDATE ${names.indexed_model} SET rows = rows - $2 WHERE sync = $1 RETURNING rows`,
        [this.#sync, keys.length],
      );
      return Number(then?.["rows"]);
    });
  }

  async matching(places: readonly number[], values: readonly (readonly string[])[]): Promise<readonly string[]> {
    const rows = await this.#access.read((session) =>
      session.rows(
        `SELECT key FROM ${this.#access.names.indexed_part} WHERE sync = $1 AND places = $2 AND value = ANY ($3)`,
        [this.#sync, JSON.stringify(places), values.map(partText)],
      ),
    );
    return rows.map((row) => row["key"] ?? "");
  }

  async page(after: string | null): Promise<RowPage> {
    const rows = await this.#access.read((session) =>
      session.rows(
        `SELECT ${FIELDS} FROM ${this.#access.names.indexed}
         WHERE sync = $1 AND ($2::text IS NULL OR key > $2 COLLATE "C") ORDER BY key LIMIT ${PAGE}`,
        [this.#sync, after],
      ),
    );
    return { rows: rows.map(indexedRow), next: rows.length < PAGE ? null : (rows.at(-1)?.["key"] ?? null) };
  }
}

function indexedRow(row: Row): IndexedRow {
  const identity = row["identity"] ?? null;
  return {
    key: row["key"] ?? "",
    recordKey: row["record"] ?? null,
    identity: identity === null ? null : (JSON.parse(identity) as string[]),
    hash: row["hash"] ?? null,
    place: Number(row["place"]),
    version: Number(row["version"]),
    confirmed: row["confirmed"] === "true",
  };
}
