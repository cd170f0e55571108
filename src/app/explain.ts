import type { Capture } from "../contracts/capture.ts";
import type { Log } from "../contracts/log.ts";
import type { CaptureExplanation } from "../contracts/source.ts";
import type { Sync } from "../contracts/sync.ts";
import type { Config } from "./config/load.ts";
import type { DbtOrigin } from "./dbt/model.ts";
import { type FieldInWords, fieldsInWords, mapSync } from "./mapped-sync.ts";
import { createSource } from "./project.ts";

export interface Explanation {
  readonly sync: string;
  readonly at: string;
  readonly model: string;
  readonly source: string;
  readonly destination: string;
  readonly object: string | null;
  readonly capture: CaptureExplanation;
  /** What the model has from dbt; null: it is none of dbt's. */
  readonly dbt: Omit<DbtOrigin, "builtWith"> | null;
  readonly key: readonly string[];
  readonly mode: Sync["mode"];
  /** What the mode does with each kind of change, as sentences. */
  readonly behaviour: readonly string[];
  readonly match: readonly string[];
  readonly where: string | null;
  readonly fields: readonly FieldInWords[];
  /** Columns whose old values are needed, with the reason. */
  readonly oldColumns: readonly { readonly column: string; readonly because: string }[];
  /** Whether the source sends them. */
  readonly oldRows: "key" | "full";
}

export async function explain(
  config: Config,
  sync: Sync,
  options: { readonly signal: AbortSignal; readonly log: Log },
): Promise<Explanation> {
  const { signal } = options;
  await using source = createSource(config, sync.model.source, options.log);
  const mapped = await mapSync(source, sync, signal);
  const { relation, mapping } = mapped;
  const { kind } = await source.capture(sync.model, signal);
  return {
    sync: sync.name,
    at: sync.at,
    model: sync.model.name,
    source: sync.model.source,
    destination: sync.destination,
    object: sync.object,
    capture: await source.explain(sync.model, signal),
    key: relation.key.map((place) => relation.columns[place]!.name),
    mode: sync.mode,
    dbt: ofDbt(config, sync.model.name),
    behaviour: behaviourOf(sync, kind),
    match: mapping.match,
    where: sync.where?.text ?? null,
    fields: fieldsInWords(sync, mapped),
    oldColumns: kind === "log" ? mapping.oldColumns : [],
    oldRows: relation.oldRows,
  };
}

function ofDbt(config: Config, model: string): Explanation["dbt"] {
  const origin = config.dbt?.models.get(model);
  if (origin === undefined) return null;
  const { builtWith: _, ...shown } = origin;
  return shown;
}

/** The semantics of a sync's mode, as sentences. `capture`: of its model. */
export function behaviourOf(
  sync: Pick<Sync, "mode" | "onDelete" | "on" | "where" | "onTruncate" | "backfill">,
  capture: Capture["kind"] = "log",
): string[] {
  const sentences = [...(capture !== "log" && sync.mode === "event" ? differences(sync) : MODES[sync.mode](sync))];
  if (sync.where !== null)
    sentences.push("A row that enters `where` counts as an insert, one that leaves it as a delete.");
  sentences.push(
    sync.backfill
      ? "The rows that exist are sent first, beside the live changes."
      : "The rows that exist are not sent: only what changes from now on.",
    ...(capture === "log" ? [TRUNCATE[sync.onTruncate]] : []),
  );
  return sentences;
}

/** Mode `event` of a model whose rows are read, instead of their changes. */
function differences({ on }: Pick<Sync, "on">): readonly string[] {
  return [
    `Each row that is found new, other or gone (${on.join(", ")}) is one event, with the new values; of a row that is gone, its key.`,
    "What changed back before it was read is no event.",
  ];
}

const MODES: Readonly<Record<Sync["mode"], (sync: Pick<Sync, "onDelete" | "on">) => readonly string[]>> = {
  upsert: () => [
    "A new or changed row is written, whether the destination has it or not.",
    "Deletes are ignored.",
    "Of several waiting versions of a row only the newest is sent.",
  ],
  mirror: ({ onDelete }) => [
    "A new or changed row is written, whether the destination has it or not.",
    {
      delete: "A row that is gone is deleted at the destination.",
      archive: "A row that is gone is marked with the archive fields.",
      clear: "A row that is gone has its mapped fields set to null.",
      ignore: "A row that is gone is left as it is at the destination.",
    }[onDelete.kind],
    "Of several waiting versions of a row only the newest is sent.",
  ],
  insert: () => ["Each new row is created once.", "Updates and deletes are ignored."],
  update: () => [
    "A change updates a record that the destination has; none is created.",
    "Deletes are ignored.",
    "Of several waiting versions of a row only the newest is sent.",
  ],
  event: ({ on }) => [
    `Each ${on.join(", ")} is one event, with the old and the new values as far as the source sends them.`,
    "Every change is sent, in the order of the row's commits.",
  ],
};

const TRUNCATE: Readonly<Record<Sync["onTruncate"], string>> = {
  stop: "A TRUNCATE stops the sync, until a resync.",
  ignore: "A TRUNCATE is ignored.",
};
