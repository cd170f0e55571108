// The SQL of a stream's outbox: a table of ours into which the stream is read in one transaction, so that its offset and our copy move together.
//
// FEED (one row): the newest batch, and the newest that was forgotten. OUTBOX: the batches that are still needed; each begins with a row
// whose ACTION is BATCH, which says what its columns are. A batch's number is the time at which it was taken, in ms, and never the same twice.
import type { Described } from "./described.ts";
import { keySql, orderedChanges, valuesSql } from "./changes-sql.ts";
import { type FeedNames, type ObjectName, sqlName, textLiteral } from "./names.ts";
import type { ResultColumn } from "./session.ts";

export interface FeedState {
  readonly batch: number;
  readonly forgotten: number;
}

/** Made in this order, the stream last: where it is there, all is. */
/** `comment`: whose they are. */
export function prepareStatements(
  names: FeedNames,
  source: ObjectName,
  kind: "TABLE" | "DYNAMIC TABLE" | "VIEW",
  nowMs: number,
  comment: string,
): string[] {
  return [
    `CREATE OR REPLACE TRANSIENT TABLE ${sqlName(names.outbox)} (BATCH NUMBER(38,0), ACTION VARCHAR, ROW_ID VARCHAR, ROW_KEY VARCHAR, ROW_VALUES OBJECT) DATA_RETENTION_TIME_IN_DAYS = 0`,
    `CREATE OR REPLACE TRANSIENT TABLE ${sqlName(names.feed)} (BATCH NUMBER(38,0), FORGOTTEN NUMBER(38,0)) DATA_RETENTION_TIME_IN_DAYS = 0`,
    `INSERT INTO ${sqlName(names.feed)} (BATCH, FORGOTTEN) SELECT ${nowMs}, ${nowMs}`,
    `CREATE OR REPLACE STREAM ${sqlName(names.stream)} ON ${kind} ${sqlName(source)} COMMENT = ${textLiteral(comment)}`,
  ];
}

export function dropStatements(names: Pick<FeedNames, "stream" | "outbox" | "feed">): string[] {
  return [
    `DROP STREAM IF EXISTS ${sqlName(names.stream)}`,
    `DROP TABLE IF EXISTS ${sqlName(names.outbox)}`,
    `DROP TABLE IF EXISTS ${sqlName(names.feed)}`,
  ];
}

/** The state as a row of its own (MARK 0, ACTION FEED), then the batches after `after`, up to `upTo` or all. */
export function batchesSql(names: FeedNames, after: number, upTo: number | null): string {
  const end = upTo === null ? "" : ` AND BATCH <= ${upTo}`;
  return orderedChanges(
    `SELECT 0 AS MARK, 'FEED' AS ACTION, TO_VARCHAR(FORGOTTEN) AS ROW_ID, TO_VARCHAR(BATCH) AS ROW_KEY, TO_VARCHAR(BATCH) AS PAYLOAD, TO_VARCHAR(FORGOTTEN) AS MORE FROM ${sqlName(names.feed)}
      UNION ALL SELECT BATCH, ACTION, ROW_ID, ROW_KEY, TO_JSON(ROW_VALUES), NULL FROM ${sqlName(names.outbox)} WHERE BATCH > ${after}${end}`,
    ["PAYLOAD", "MORE"],
  );
}

export interface NextBatch {
  readonly names: FeedNames;
  readonly described: Described;
  readonly state: FeedState;
  readonly batch: number;
  /** What is at or before it is deleted. */
  readonly forget: number;
  /** Batches after it are answered. */
  readonly after: number;
}

/**
 * One request, one statement that takes a warehouse: forgets what is done, reads the stream into the outbox, and answers what is new in it. Sent
 * twice, or by two, it takes one batch: the second finds that FEED has moved on, and only answers.
 */
export function nextBatchSql({ names, described, state, batch, forget, after }: NextBatch): string {
  const [feed, outbox, stream] = [names.feed, names.outbox, names.stream].map(sqlName);
  return `EXECUTE IMMEDIATE $$
DECLARE
  ANSWER RESULTSET;
BEGIN
  BEGIN TRANSACTION;
  UPDATE ${feed} SET BATCH = ${batch}, FORGOTTEN = ${forget} WHERE BATCH = ${state.batch};
  IF (SQLROWCOUNT = 1) THEN
    DELETE FROM ${outbox} WHERE BATCH <= ${forget};
    INSERT INTO ${outbox} (BATCH, ACTION, ROW_ID, ROW_KEY, ROW_VALUES)
      SELECT ${batch}, METADATA$ACTION, METADATA$ROW_ID, ${keySql(described)}, ${valuesSql(described.columns)} FROM ${stream};
    INSERT INTO ${outbox} (BATCH, ACTION, ROW_VALUES)
      SELECT ${batch}, 'BATCH', OBJECT_CONSTRUCT('columns', ${textLiteral(columnsText(described.columns))});
  END IF;
  COMMIT;
  ANSWER := (${batchesSql(names, after, null)});
  RETURN TABLE(ANSWER);
EXCEPTION
  WHEN OTHER THEN
    ROLLBACK;
    RAISE;
END;
$$`;
}

function columnsText(columns: readonly ResultColumn[]): string {
  return JSON.stringify(
    columns.map(({ name, type, precision, scale, nullable }) => [name, type, precision, scale, nullable]),
  );
}

/** Of the row that begins a batch. */
export function columnsIn(payload: string): ResultColumn[] {
  const { columns } = JSON.parse(payload) as { columns: string };
  const list = JSON.parse(columns) as [string, string, number, number, boolean][];
  return list.map(([name, type, precision, scale, nullable]) => ({ name, type, precision, scale, nullable }));
}

/** All rows' values are texts in it, so that nothing is lost in reading it. */
export function valuesIn(payload: string, columns: number): (string | null)[] {
  const values = JSON.parse(payload) as Record<string, string>;
  return Array.from({ length: columns }, (_, place) => values[place] ?? null);
}
