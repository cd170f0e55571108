// Changes in the order that the kit asks for, from a stream's rows as they are kept, or from CHANGES.
import type { Described } from "./described.ts";
import { textSql } from "./columns.ts";
import type { ResultColumn } from "./session.ts";

/** A row's key as one text: the only column's, or `LENGTH:TEXT` of each. */
export function keySql({ relation, columns }: Pick<Described, "relation" | "columns">): string {
  const texts = relation.key.map((place) => textSql(columns[place]!));
  if (texts.length === 1) return texts[0]!;
  return `CONCAT(${texts.map((text) => `TO_VARCHAR(LENGTH(${text})), ':', ${text}`).join(", ',', ")})`;
}

/** The texts of a row that has them, by the place of their column; OBJECT_CONSTRUCT leaves NULL out. */
export function valuesSql(columns: readonly ResultColumn[]): string {
  return `OBJECT_CONSTRUCT(${columns.map((column, place) => `'${place}', ${textSql(column)}`).join(", ")})`;
}

/**
 * `inner` has MARK, ACTION, ROW_ID, ROW_KEY and the columns `payload`. Of each mark first what is none of a row (ACTION `BATCH`), then the keys that
 * no row has any more, then the others; an old row before its new one. MOVED_ROW is given where one row, and no other, left one key for the other.
 */
export function orderedChanges(inner: string, payload: readonly string[]): string {
  const list = payload.join(", ");
  return `SELECT MARK, ACTION, IFF(MOVED, ROW_ID, NULL) AS MOVED_ROW, ${list}
FROM (
  SELECT MARK, ACTION, ROW_ID, ROW_KEY, ${list}, NEWS,
    COUNT(*) OVER (PARTITION BY MARK, ROW_ID) = 2 AND SUM(ALONE) OVER (PARTITION BY MARK, ROW_ID) = 2 AS MOVED,
    MAX(IFF(ACTION = 'INSERT', ROW_KEY, NULL)) OVER (PARTITION BY MARK, ROW_ID) AS NEW_KEY
  FROM (
    SELECT MARK, ACTION, ROW_ID, ROW_KEY, ${list},
      IFF(COUNT(*) OVER (PARTITION BY MARK, ROW_KEY) = 1, 1, 0) AS ALONE,
      COUNT_IF(ACTION = 'INSERT') OVER (PARTITION BY MARK, ROW_KEY) AS NEWS
    FROM (
      ${inner}
    ) AS IMAGES
  ) AS COUNTED
) AS PAIRED
ORDER BY MARK, IFF(ACTION = 'BATCH', 0, 1), IFF(MOVED OR NEWS > 0, 1, 0), IFF(MOVED, NEW_KEY, ROW_KEY), ACTION, ROW_ID`;
}
