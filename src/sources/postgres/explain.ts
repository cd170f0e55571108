import type { CaptureExplanation } from "../../contracts/source.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import type { DescribedModel } from "./describe.ts";

/** How a table is captured. `names`: those of the slot and the publication. */
export function explain(
  described: DescribedModel,
  names: { readonly slot: string; readonly publication: string },
): CaptureExplanation {
  const { table, relation, index } = described;
  const identity =
    relation.oldRows === "full"
      ? "Updates and deletes carry the whole old row (REPLICA IDENTITY FULL), which about doubles what they write to the log."
      : "Updates and deletes carry the old key only.";
  const columns = described.columns.map(({ name }) => quoteIdentifier(name)).join(", ");
  const order = index.columns.map(quoteIdentifier).join(", ");
  const only = table.kind === "p" ? "" : "ONLY ";
  return {
    kind: "log",
    why: `${table.sql} is a ${table.kind === "p" ? "partitioned table" : "table"}, so its changes come straight from the database's replication log.`,
    latency: "Milliseconds after the commit: the database sends a transaction as soon as it is committed.",
    cost:
      "The database decodes its log once for all syncs of this source, and keeps the log that is not delivered yet. " +
      `No query runs for a change, except where a large value did not change and is needed. ${identity}`,
    statements: [
      `-- the rows that exist, in chunks\nSELECT ${columns} FROM ${only}${table.sql} WHERE (${order}) > (…) ORDER BY ${order} LIMIT …`,
      `-- changes\nSTART_REPLICATION SLOT ${quoteIdentifier(names.slot)} LOGICAL … (proto_version '1', publication_names '${quoteIdentifier(names.publication)}')`,
    ],
  };
}
