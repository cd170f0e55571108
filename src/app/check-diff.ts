import type { Capture } from "../contracts/capture.ts";
import type { Model } from "../contracts/model.ts";
import type { CheckedFinding } from "./checked-finding.ts";

/** Whether anything says when a model that is compared has other rows. `dbt`: dbt's runs are watched for it. */
export function checkDiff(model: Model, capture: Capture, dbt: boolean): readonly CheckedFinding[] {
  const about = { kind: "source", name: model.source } as const;
  const subject = `model ${model.name}`;
  const { schedule } = model.diff;
  const fix = `Add, for example, \`every: 5m\` or \`cron: "0 * * * *"\` to model \`${model.name}\`.`;
  if (capture.kind === "log" && schedule !== null) {
    const message = `${subject} is read from the log: its \`${schedule.kind}\` does nothing.`;
    return [{ level: "info", code: "model.schedule", message, fix: `Remove it.`, subject, about }];
  }
  if (capture.kind !== "diff" || schedule !== null) return [];
  if (capture.timeDependent) {
    const message = `${subject} changes with time alone, which no log tells: it is compared only when something else changes.`;
    return [{ level: "warning", code: "model.schedule", message, fix, subject, about }];
  }
  if (capture.triggers !== null || dbt) return [];
  const message = `Nothing says when ${subject} has other rows: it is compared only by \`tailrace run --once\` and \`tailrace resync\`.`;
  return [{ level: "warning", code: "model.schedule", message, fix, subject, about }];
}
