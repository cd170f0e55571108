import type { Model } from "../../contracts/model.ts";
import type { CaptureExplanation } from "../../contracts/source.ts";
import { pollLatency, pollsAnHour } from "../../kit/feed/pace.ts";
import type { Choice } from "./choice.ts";
import { type Described, lookupStatement, rowsStatement } from "./described.ts";
import { type FeedNames, nameText, sqlName } from "./names.ts";
import { nextBatchSql } from "./outbox.ts";
import type { Settings } from "./settings.ts";

export interface Explained {
  readonly model: Model;
  readonly choice: Choice;
  readonly described: Described;
  /** Of what is read by a stream. */
  readonly names: FeedNames | null;
  readonly settings: Settings;
}

export function explainModel({ choice, described, names, settings }: Explained): CaptureExplanation {
  const { quiet, busy } = pollsAnHour(settings.poll);
  const polls = `${quiet} to ${busy} metadata requests an hour, which take no warehouse (Snowflake bills its cloud services only above a tenth of a day's credits)`;
  const wakes = `A warehouse is billed for 60 s at the least when it wakes, and until it suspends again (AUTO_SUSPEND of ${settings.warehouse}): an XS one that never rests is 1 credit an hour.`;
  if (choice.kind === "rows")
    return {
      kind: "diff",
      why: choice.because.join("; "),
      latency: pollLatency(settings.poll),
      cost: `${polls}. Each comparison reads the whole model with the warehouse ${settings.warehouse}. ${wakes}`,
      statements: [rowsStatement(described, " AS M", null).sql],
    };
  const one = `One statement a batch of changes takes the warehouse ${settings.warehouse}, and none while nothing changes.`;
  if (choice.kind === "changes")
    return {
      kind: "feed",
      why: choice.why,
      latency: `${pollLatency(settings.poll)} Then ${settings.settle_ms + 250} ms pass, so that the time that is read up to is complete, and up to a second until it is stored.`,
      cost: `${polls}. ${one} ${wakes}`,
      statements: [
        `SELECT … FROM ${described.from} CHANGES(INFORMATION => DEFAULT) AT(TIMESTAMP => …) END(TIMESTAMP => …)`,
        rowsStatement(described, " AT(TIMESTAMP => …)", null).sql,
      ],
    };
  const { stream, feed } = names!;
  return {
    kind: "feed",
    why: choice.why,
    latency: pollLatency(settings.poll),
    cost: `${polls}. ${one} ${wakes} The table's history is kept for as long as the stream is not read (up to MAX_DATA_EXTENSION_TIME_IN_DAYS), and what is not delivered yet lies in ${sqlName(names!.outbox)}.`,
    statements: [
      `SELECT SYSTEM$STREAM_HAS_DATA(${nameText(stream)}), SYSTEM$LAST_CHANGE_COMMIT_TIME(${nameText(feed)})`,
      nextBatchSql({ names: names!, described, state: { batch: 0, forgotten: 0 }, batch: 1, forget: 0, after: 0 }),
      rowsStatement(described, ` AT(STREAM => ${nameText(stream)})`, null).sql,
      lookupStatement(described, ` AT(STREAM => ${nameText(stream)})`, [described.relation.key.map(() => "")]).sql,
    ],
  };
}
