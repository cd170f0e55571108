import type { Capabilities, Target } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Sync } from "../../contracts/sync.ts";
import type { Mapping } from "../../engine/mapping/compile.ts";

/** The sync as its destination sees it. */
export function targetOf(sync: Sync, mapping: Pick<Mapping, "match" | "shape">): Target {
  return {
    sync: sync.name,
    object: sync.object,
    mode: sync.mode,
    onDelete: sync.onDelete,
    match: mapping.match,
    shape: mapping.shape,
    options: sync.options,
  };
}

/** What the sync asks of its destination or source and cannot have, as an error; `check` says it beforehand. */
export function refuseUnsupported(
  sync: Sync,
  capabilities: Capabilities,
  oldColumns: readonly { column: string; because: string }[],
  oldRows: "key" | "full",
): void {
  if (!capabilities.modes.includes(sync.mode)) {
    throw new TailraceError(
      "config.invalid",
      `${sync.at}: sync \`${sync.name}\`: destination \`${sync.destination}\` cannot do mode \`${sync.mode}\`; it can do ${capabilities.modes.join(", ")}.`,
    );
  }
  if (sync.mode === "mirror" && !capabilities.deletes.includes(sync.onDelete.kind)) {
    throw new TailraceError(
      "config.invalid",
      `${sync.at}: sync \`${sync.name}\`: destination \`${sync.destination}\` cannot do \`on_delete: ${sync.onDelete.kind}\`; it can do ${capabilities.deletes.join(", ")}.`,
    );
  }
  // Whether a row entered or left cannot be told without its old values; a row told twice or never is worse than a sync that says so.
  const needed = sync.where !== null && (sync.mode === "event" || sync.mode === "insert") ? oldColumns : [];
  if (oldRows === "key" && needed.length > 0) {
    throw new TailraceError(
      "source.config",
      `${sync.at}: sync \`${sync.name}\`: mode \`${sync.mode}\` with \`where\` needs the old values of ${needed.map(({ column }) => column).join(", ")}, which the source does not send for ${sync.model.name}; \`tailrace check\` prints the statement that makes it.`,
    );
  }
}
