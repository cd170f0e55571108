import type { CaptureExplanation } from "../../contracts/source.ts";
import { type Poll, pollLatency, pollsAnHour } from "../../kit/feed/pace.ts";
import type { DatabricksReading } from "./databricks-warehouse.ts";

const RUNNING =
  "Databricks documents no way to see a table's version without running compute, so each look keeps the SQL warehouse awake, or wakes it; what that costs is the warehouse's size times its time. A `slowest_ms` above the warehouse's auto stop lets it sleep while nothing changes.";

export async function explain(how: DatabricksReading, poll: Poll, signal: AbortSignal): Promise<CaptureExplanation> {
  const { quiet, busy } = pollsAnHour(poll);
  if (how.kind === "feed") {
    const { table, automatic } = how;
    return {
      kind: "feed",
      why: automatic
        ? "The table has row tracking: Databricks computes its changes between two versions when they are read."
        : "The table records its changes (delta.enableChangeDataFeed).",
      latency: `${pollLatency(poll)} A read is some five statements, one after the other.`,
      cost: `${quiet} looks (DESCRIBE HISTORY … LIMIT 1) an hour when quiet, ${busy} while changes flow; each read of changes reads the files of those versions only${automatic ? ", and compares them" : ""}. ${RUNNING}`,
      statements: [
        `DESCRIBE HISTORY ${table.name} LIMIT 1`,
        `-- each version once\n${await how.reading.example(signal)}`,
      ],
    };
  }
  const { because, state } = how.reading;
  return {
    kind: "diff",
    why: because.join("; "),
    latency:
      state === null
        ? "A difference is found at the next comparison of the model's schedule (`every`, `cron`)."
        : `${pollLatency(poll)} Then all rows are read once.`,
    cost: `Every comparison reads the whole model.${state === null ? "" : ` ${quiet} looks (DESCRIBE HISTORY … LIMIT 1) an hour when quiet. ${RUNNING}`}`,
    statements: [await how.reading.example(signal)],
  };
}
