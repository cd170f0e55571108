import type { CaptureExplanation } from "../../contracts/source.ts";
import { type DescribedModel, sqlOf } from "./describe.ts";
import { identifier } from "./sql.ts";

/** How a table is captured. */
export function explain({ table, relation, columns, index }: DescribedModel): CaptureExplanation {
  const names = columns.map(({ name }) => identifier(name)).join(", ");
  const order = index.columns.map(identifier).join(", ");
  const images =
    relation.oldRows === "full"
      ? "Updates and deletes carry the whole old row (binlog_row_image=FULL)."
      : "Updates carry the columns that changed only (binlog_row_image is not FULL): a row that is needed whole is read by its key.";
  return {
    kind: "log",
    why: `${sqlOf(table)} is a table, so its changes come straight from the binary log.`,
    latency: "Milliseconds after the commit: the server sends a transaction as soon as it is committed.",
    cost: `The server sends its whole binary log once for all syncs of this source, as to a replica, and keeps it for as long as its settings say. ${images}`,
    statements: [
      `-- the rows that exist, in chunks\nSELECT ${names} FROM ${sqlOf(table)} WHERE (${order}) > (…) ORDER BY ${order} LIMIT …`,
    ],
  };
}
