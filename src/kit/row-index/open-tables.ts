import type { KnownRows, RowIndexOptions } from "../../contracts/row-index.ts";
import { keyParts, partsText } from "./key-parts.ts";
import { knownRows, storedIdentity } from "./stored-identity.ts";
import type { RowSession, RowTables } from "./tables.ts";

/** Keys that are taken apart at once, where an index is opened with other parts. */
const KEYS = 5_000;

export interface OpenedRows {
  readonly isNew: boolean;
  readonly rows: number;
}

/** Opens the index of one sync's rows, inside a transaction that has proven the lease. */
export async function openRows(
  session: RowSession,
  names: RowTables,
  sync: string,
  options: RowIndexOptions,
): Promise<OpenedRows> {
  const [known] = await session.rows(`SELECT identity, parts, last, rows FROM ${names.indexed_model} WHERE sync = $1`, [
    sync,
  ]);
  const { parts } = options;
  const stored = known?.["identity"] ?? null;
  if (stored !== null && knownRows(stored, 0).identity === options.identity) {
    await session.rows(`UPDATE ${names.indexed_model} SET identity = $2 WHERE sync = $1 AND identity <> $2`, [
      sync,
      storedIdentity(options),
    ]);
    if (known?.["parts"] !== partsText(parts)) await divide(session, names, sync, parts);
    return { isNew: false, rows: Number(known?.["rows"]) };
  }
  await removeRows(session, names, sync);
  // The versions go on, where they are known.
  await session.rows(
    `INSERT INTO ${names.indexed_model} (sync, identity, parts, last, places, rows) VALUES ($1, $2, $3, $4, 0, 0)`,
    [sync, storedIdentity(options), partsText(parts), known?.["last"] ?? 0],
  );
  return { isNew: true, rows: 0 };
}

/** What there is of a sync, without opening it. */
export async function rowsKnown(session: RowSession, names: RowTables, sync: string): Promise<KnownRows | null> {
  const [known] = await session.rows(`SELECT identity, rows FROM ${names.indexed_model} WHERE sync = $1`, [sync]);
  return known === undefined ? null : knownRows(known["identity"] ?? "", Number(known["rows"]));
}

export async function removeRows(session: RowSession, names: RowTables, sync: string): Promise<void> {
  for (const table of [names.indexed, names.indexed_free, names.indexed_part, names.indexed_model])
    await session.rows(`DELETE FROM ${table} WHERE sync = $1`, [sync]);
}

/** The parts of every row anew. */
async function divide(
  session: RowSession,
  names: RowTables,
  sync: string,
  parts: RowIndexOptions["parts"],
): Promise<void> {
  await session.rows(`DELETE FROM ${names.indexed_part} WHERE sync = $1`, [sync]);
  await session.rows(`UPDATE ${names.indexed_model} SET parts = $2 WHERE sync = $1`, [sync, partsText(parts)]);
  if (parts.length === 0) return;
  for (let after: string | null = null; ;) {
    const rows: readonly Readonly<Record<string, string | null>>[] = await session.rows(
      `SELECT key FROM ${names.indexed} WHERE sync = $1 AND ($2::text IS NULL OR key > $2 COLLATE "C") ORDER BY key LIMIT ${KEYS}`,
      [sync, after],
    );
    const keys = rows.map((row) => row["key"] ?? "");
    await addParts(session, names, sync, keys, parts);
    after = keys.at(-1) ?? null;
    if (keys.length < KEYS) return;
  }
}

export async function addParts(
  session: RowSession,
  names: RowTables,
  sync: string,
  keys: readonly string[],
  parts: RowIndexOptions["parts"],
): Promise<void> {
  if (parts.length === 0 || keys.length === 0) return;
  await session.rows(
    `INSERT INTO ${names.indexed_part} (sync, places, value, key)
     SELECT $1::text, places, value, key FROM unnest($2::text[], $3::text[], $4::text[]) AS part (places, value, key)`,
    [sync, ...columnsOf(keys, parts)],
  );
}

export async function removeParts(
  session: RowSession,
  names: RowTables,
  sync: string,
  keys: readonly string[],
  parts: RowIndexOptions["parts"],
): Promise<void> {
  if (parts.length === 0 || keys.length === 0) return;
  await session.rows(
    `DELETE FROM ${names.indexed_part}
     WHERE sync = $1 AND places = ANY ($2) AND value = ANY ($3) AND key = ANY ($4)`,
    [sync, ...columnsOf(keys, parts)],
  );
}

/** Places, values and keys. */
function columnsOf(keys: readonly string[], parts: RowIndexOptions["parts"]): string[][] {
  const found = keys.flatMap((key) => keyParts(key, parts).map((part) => ({ ...part, key })));
  return [found.map(({ places }) => places), found.map(({ value }) => value), found.map(({ key }) => key)];
}
