// Rows of a query, as the texts that the model's columns have.
import pg from "pg";
import type { Values } from "../../contracts/values.ts";
import { destroy } from "../../kit/postgres/socket.ts";
import { asSourceError } from "./source-error.ts";
import type { Normalise } from "./types.ts";

export interface RowQuery {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** One a column; null: its texts stay as they come. */
export type Normalisers = readonly (Normalise | null)[];

/** What a row costs in memory besides its texts, and what each of its values does: a row of many small ones is mostly that. */
export const ROW_BYTES = 32;
const VALUE_BYTES = 24;

/** Makes a row's texts those of `column::text`, in place; returns what it costs in memory, in bytes. */
export function takeRow(texts: (string | null)[], normalise: Normalisers): number {
  let bytes = ROW_BYTES + texts.length * VALUE_BYTES;
  for (let i = 0; i < texts.length; i += 1) {
    const value = texts[i]!;
    if (value === null) continue;
    bytes += value.length;
    const normaliser = normalise[i]!;
    if (normaliser !== null) texts[i] = normaliser(value);
  }
  return bytes;
}

/** The driver's query that gives a row as a list of its texts. */
export function textsQuery({ text, values }: RowQuery): pg.Query {
  return new pg.Query({ text, values: [...values], rowMode: "array" } as unknown as pg.QueryConfig);
}

/**
 * Runs a query and keeps its rows up to `limitBytes` (the first in any case). What is on its way after that is thrown
 * away; when it is much, the connection is cut rather than read to the end.
 */
export function readRows(
  client: pg.Client,
  query: RowQuery,
  normalise: Normalisers,
  limitBytes: number,
): Promise<{
  readonly rows: readonly Values[];
  readonly bytes: number;
  readonly left: boolean;
  readonly cutOff: boolean;
}> {
  const rows: Values[] = [];
  let bytes = 0;
  let wastedBytes = 0;
  let left = false;
  let cutOff = false;
  const running = textsQuery(query);
  return new Promise((resolve, reject) => {
    running.on("row", (row) => {
      if (cutOff) return;
      const texts = row as unknown as (string | null)[];
      const size = takeRow(texts, normalise);
      if (rows.length > 0 && (left || bytes + size > limitBytes)) {
        left = true;
        wastedBytes += size;
        if (wastedBytes <= Math.max(limitBytes, 1_048_576)) return;
        cutOff = true;
        destroy(client);
        resolve({ rows, bytes, left, cutOff });
        return;
      }
      rows.push(texts);
      bytes += size;
    });
    running.on("end", () => resolve({ rows, bytes, left, cutOff }));
    running.on("error", (error) => reject(asSourceError(error)));
    client.query(running);
  });
}
