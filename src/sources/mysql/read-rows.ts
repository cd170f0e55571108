import type { Value, Values } from "../../contracts/values.ts";
import type { ReadColumn } from "./columns.ts";
import type { Connection } from "./connection.ts";

/** What a row costs in memory besides its texts, and what each of its values does. */
const ROW_BYTES = 32;
const VALUE_BYTES = 24;

/**
 * Runs a query and keeps its rows up to `limitBytes` (the first in any case). What is on its way after that is thrown
 * away; when it is much, the connection is cut rather than read to the end. `expect`: told what the result looks like; may throw.
 */
export async function readRows(
  connection: Connection,
  sql: string,
  columns: readonly ReadColumn[],
  limitBytes: number,
  expect: (signature: string) => void,
): Promise<{ readonly rows: readonly Values[]; readonly bytes: number; readonly left: boolean }> {
  const rows: Values[] = [];
  let bytes = 0;
  let wastedBytes = 0;
  let left = false;
  let refused: unknown = null;
  let cutOff = false;
  const reading = connection.stream(sql, {
    columns: (found) => {
      try {
        expect(found.map(({ signature }) => signature).join());
      } catch (error) {
        refused = error;
      }
    },
    row: (raw) => {
      if (refused !== null || cutOff) return;
      let size = ROW_BYTES + raw.length * VALUE_BYTES;
      for (const value of raw) size += value?.length ?? 0;
      if (rows.length > 0 && (left || bytes + size > limitBytes)) {
        left = true;
        wastedBytes += size;
        if (wastedBytes <= Math.max(limitBytes, 1_048_576)) return;
        cutOff = true;
        connection.destroy();
        return;
      }
      bytes += size;
      rows.push(raw.map((value, i): Value => (value === null ? null : columns[i]!.text(value))));
    },
  });
  await reading.catch((error: unknown) => {
    if (!cutOff) throw error;
  });
  if (refused !== null) throw refused;
  return { rows, bytes, left };
}
