import type { Capture } from "../../contracts/capture.ts";
import type { CaptureExplanation } from "../../contracts/source.ts";
import { type DescribedModel, lookupSql, rowsSql } from "./models.ts";
import type { Settings } from "./settings.ts";

export function explain(described: DescribedModel, capture: Capture, settings: Settings): CaptureExplanation {
  const reasons = capture.kind === "diff" ? capture.because : [];
  const files = capture.kind === "diff" ? [...(capture.triggers ?? [])] : [];
  return {
    kind: "diff",
    why: `${reasons.join("; ")}. What makes a comparison due: ${files.join(", ")}.`,
    latency: `When a file was written, at the latest after ${settings.poll_ms} ms; a data file is read ${settings.settle_ms} ms after its last write. Then the model is read once.`,
    cost: `Every comparison reads the whole model, within ${settings.memory_limit} and ${settings.threads} threads of this machine; a database file is open, and cannot be written to, for that long.`,
    statements: [
      `-- all rows, into a file of our own\n${rowsSql(described, null)}`,
      `-- rows by their keys\n${lookupSql(described)}`,
    ],
  };
}
