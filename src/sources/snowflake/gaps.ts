import { TailraceError } from "../../contracts/errors.ts";
import type { StreamFacts, TableFacts } from "./metadata.ts";

/** Why a stream is stale: Snowflake's own word for it comes late, and not for every cause. */
export function staleGap(
  what: string,
  source: string,
  { createdOn, invalid }: StreamFacts,
  table: TableFacts,
): TailraceError {
  if (invalid !== null || Date.parse(table.createdOn) > Date.parse(createdOn))
    return new TailraceError(
      "source.gap.replaced",
      `${what}: ${source}, or a table beneath it, was made anew since its stream was${invalid === null ? "" : ` (${invalid})`}`,
    );
  return new TailraceError(
    "source.gap.purged",
    `the stream of ${what} is stale: what changed since it was last read is not kept`,
  );
}
