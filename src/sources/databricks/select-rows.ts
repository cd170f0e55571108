// Rows of anything that can stand in a FROM.
import type { ChunkLimit, Cursor, KeyValues } from "../../contracts/source.ts";
import type { Values } from "../../contracts/values.ts";
import type { RowPage } from "../../kit/feed/model-feed.ts";
import { rowPages } from "../../kit/feed/row-pages.ts";
import { type ModelShape, valuesOf } from "./model-shape.ts";
import type { Session } from "./session.ts";
import { lookupSql, rowsSql } from "./statements.ts";

export async function* selectRows(
  session: Session,
  from: string,
  shape: ModelShape,
  after: Cursor | null,
  limit: ChunkLimit,
  signal: AbortSignal,
): AsyncGenerator<RowPage, void, undefined> {
  const sql = rowsSql(from, shape, after !== null);
  const pages = session.pages(sql, signal, keyParameters(after ?? []));
  yield* rowPages(valuesIn(pages, shape), shape.relation, limit);
}

export async function selectByKeys(
  session: Session,
  from: string,
  shape: ModelShape,
  keys: readonly KeyValues[],
  signal: AbortSignal,
): Promise<RowPage> {
  const asked = JSON.stringify(keys.map(keyParameters));
  const rows = await session.rows(lookupSql(from, shape), signal, { keys: asked });
  return { relation: shape.relation, rows: rows.map((row) => valuesOf(row, shape)), next: null };
}

async function* valuesIn(
  pages: AsyncIterable<readonly object[]>,
  shape: ModelShape,
): AsyncGenerator<readonly Values[]> {
  for await (const page of pages) yield page.map((row) => valuesOf(row as Record<string, unknown>, shape));
}

function keyParameters(key: KeyValues): Record<string, string> {
  return Object.fromEntries(key.map((text, index) => [`k${index}`, text]));
}
