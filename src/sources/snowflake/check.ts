// What a person should know before a sync reads a model. Changes nothing, and wakes no warehouse.
import { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import type { Model, TableModel } from "../../contracts/model.ts";
import type { Choice } from "./choice.ts";
import type { Described } from "./described.ts";
import { streamFacts } from "./metadata.ts";
import { type FeedNames, sqlName, tableOf } from "./names.ts";
import type { SnowflakeSession } from "./session.ts";
import type { Settings } from "./settings.ts";

export interface Checked {
  readonly session: SnowflakeSession;
  readonly settings: Settings;
  choice(model: Model): Promise<Choice>;
  describe(model: Model): Promise<Described>;
  namesOf(model: TableModel): Promise<FeedNames>;
}

const DAY_MS = 86_400_000;
/** A stream that has less than so left should be looked at. */
const STALE_SOON_MS = 2 * DAY_MS;

export async function checkModels(
  checked: Checked,
  models: readonly Model[],
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const model of models) {
    try {
      await checked.describe(model);
      const choice = await checked.choice(model);
      if (model.kind === "table") findings.push(...(await ofTable(checked, model, choice, signal)));
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TailraceError)) throw error;
      findings.push({
        level: "error",
        code: error.code.replace("source.", "snowflake."),
        message: error.message,
        fix: error.hint,
        subject: model.name,
      });
    }
  }
  return findings;
}

async function ofTable(checked: Checked, model: TableModel, choice: Choice, signal: AbortSignal): Promise<Finding[]> {
  const subject = model.name;
  const table = tableOf(model, checked.settings);
  if (choice.kind === "rows")
    return [
      {
        level: "warning",
        code: "snowflake.compared",
        message: `All its rows are compared with what was sent: ${choice.because.join("; ")}.`,
        fix: `ALTER TABLE ${sqlName(table)} SET CHANGE_TRACKING = TRUE`,
        subject,
      },
    ];
  const days = choice.facts.retentionDays;
  if (choice.kind === "changes")
    return days === null || days > 1
      ? []
      : [
          {
            level: "warning",
            code: "snowflake.retention",
            message: `Time Travel keeps its history for ${days} days: a sync that stands still for longer has to be begun again.`,
            fix: `ALTER TABLE ${sqlName(table)} SET DATA_RETENTION_TIME_IN_DAYS = 7`,
            subject,
          },
        ];
  const names = await checked.namesOf(model);
  const stream = await streamFacts(checked.session, names.stream, { what: subject, signal });
  if (stream === null) return [];
  if (stream.stale)
    return [
      {
        level: "error",
        code: "snowflake.stale",
        message: `Its stream ${sqlName(names.stream)} is stale${stream.invalid === null ? "" : ` (${stream.invalid})`}: what changed since it was last read is lost.`,
        fix: "tailrace resync SYNC",
        subject,
      },
    ];
  const leftMs = stream.staleAfterMs - Date.now();
  if (leftMs > STALE_SOON_MS) return [];
  return [
    {
      level: "warning",
      code: "snowflake.stale_soon",
      message: `Its stream ${sqlName(names.stream)} becomes stale in ${Math.max(0, Math.floor(leftMs / 3_600_000))} hours unless it is read.`,
      fix: `Run the sync; and let the table keep its history for longer: ALTER TABLE ${sqlName(table)} SET MAX_DATA_EXTENSION_TIME_IN_DAYS = 28`,
      subject,
    },
  ];
}
