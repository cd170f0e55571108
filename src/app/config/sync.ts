import type { Model } from "../../contracts/model.ts";
import type { EventOp, OnDelete, Sync } from "../../contracts/sync.ts";
import { checkWhere } from "./expressions.ts";
import { checkNumber, compileMap } from "./mapping.ts";
import { placeText } from "./problem.ts";
import type { SyncInput } from "./schema.ts";
import { closest } from "../../contracts/did-you-mean.ts";
import { type Entry, entryOf, type Flaw, nameOf, type Path, type Place, type Tree } from "./tree.ts";

const ALL_OPERATIONS: readonly EventOp[] = ["insert", "update", "delete"];

/** What the keys of a sync mean together; `model` and `options` are added by the caller. */
export function readSync(name: string, entry: Entry, input: SyncInput, flaws: Flaw[]): Omit<Sync, "model" | "options"> {
  const reader = new SyncReader(["syncs", name], entry.value, flaws);
  return reader.read(name, entry, input);
}

/** Joins what {@link readSync} made with what it refers to. */
export function joinSync(part: Omit<Sync, "model" | "options">, model: Model, options: unknown): Sync {
  return { ...part, model, options };
}

class SyncReader {
  readonly #path: Path;
  readonly #tree: Tree;
  readonly #flaws: Flaw[];

  constructor(path: Path, tree: Tree, flaws: Flaw[]) {
    this.#path = path;
    this.#tree = tree;
    this.#flaws = flaws;
  }

  read(name: string, entry: Entry, input: SyncInput): Omit<Sync, "model" | "options"> {
    const { mode } = input;
    this.#onlyIn("event", mode, "on");
    this.#onlyIn("mirror", mode, "on_delete");
    this.#onlyIn("mirror", mode, "max_deletes");
    const on = this.#operations(input.on);
    const map = compileMap(input.map, entryOf(this.#tree, "map")?.value, {
      path: [...this.#path, "map"],
      mode,
      flaws: this.#flaws,
    });
    this.#checkMatch(input.match, map);
    const where = entryOf(this.#tree, "where");
    const textOfWhere = input.where;
    if (where !== undefined) checkWhere(where.value, [...this.#path, "where"], this.#flaws);
    return {
      name,
      destination: input.destination,
      object: input.object ?? null,
      mode,
      onDelete: this.#onDelete(input),
      maxDeletes: input.max_deletes ?? { kind: "share", share: 0.3 },
      on,
      match: input.match ?? null,
      where:
        textOfWhere === undefined || where === undefined
          ? null
          : {
              text: textOfWhere,
              at: placeText(where.value.place),
              code: where.value.kind === "scalar" ? where.value.code : undefined,
            },
      map,
      backfill: input.backfill ?? mode !== "event",
      batch: { rows: input.batch?.rows ?? null, bytes: input.batch?.bytes ?? null, ageMs: input.batch?.age ?? null },
      onGap: input.on_gap,
      onMappingChange: input.on_mapping_change,
      onTruncate: input.on_truncate ?? (mode === "mirror" ? "stop" : "ignore"),
      unchanged: input.unchanged,
      attempts: input.attempts,
      maxLagMs: input.max_lag ?? null,
      maxWaitMs: input.max_wait ?? 30_000,
      failureShare: input.failure_share,
      at: placeText(entry.key),
    };
  }

  #onlyIn(only: "event" | "mirror", mode: string, key: string): void {
    const entry = entryOf(this.#tree, key);
    if (entry === undefined || mode === only) return;
    const message = `${this.#name(key)} needs mode \`${only}\`; the mode is \`${mode}\``;
    this.#flaw(entry.key, key, message, `set \`mode: ${only}\`, or remove \`${key}\`.`);
  }

  #operations(given: readonly EventOp[] | undefined): readonly EventOp[] {
    if (given === undefined) return ALL_OPERATIONS;
    if (new Set(given).size < given.length) {
      this.#flaw(this.#value("on"), "on", `${this.#name("on")} lists an operation twice`, "remove one of the two.");
    }
    return ALL_OPERATIONS.filter((op) => given.includes(op));
  }

  #onDelete({ mode, on_delete: given }: SyncInput): OnDelete {
    if (mode !== "mirror") return { kind: "ignore" };
    if (given === undefined) return { kind: "delete" };
    if (typeof given === "string") return { kind: given };
    const archive = entryOf(entryOf(this.#tree, "on_delete")?.value, "archive");
    if (Object.keys(given.archive).length === 0) {
      const message = `${this.#name("on_delete")} archives a record, but sets no field`;
      this.#flaw(
        archive?.value.place ?? this.#value("on_delete"),
        "on_delete",
        message,
        "write, for example, `on_delete: { archive: { status: inactive } }`.",
      );
    }
    if (archive?.value.kind === "map") {
      for (const [field, { value }] of archive.value.entries)
        checkNumber(value, [...this.#path, "on_delete", "archive", field], this.#flaws);
    }
    return { kind: "archive", fields: { ...given.archive } };
  }

  #checkMatch(match: string | undefined, map: Sync["map"]): void {
    if (match === undefined || map === null) return;
    const mapping = map.find((mapped) => mapped.field === match);
    const place = this.#value("match");
    if (mapping === undefined) {
      const near = closest(
        match,
        map.map((mapped) => mapped.field),
      );
      const suggestion = near === null ? "" : `; did you mean \`${near}\`?`;
      const fix =
        near === null
          ? `add \`${match}: COLUMN\` to \`map\`.`
          : `write \`match: ${near}\`, or add \`${match}\` to \`map\`.`;
      this.#flaw(place, "match", `${this.#name("match")} is a field that \`map\` does not fill${suggestion}`, fix);
    } else if (mapping.kind === "constant") {
      const message = `${this.#name("match")} is a field with the same value in every record`;
      this.#flaw(place, "match", message, "match by a field that a column fills.");
    }
  }

  #name(key: string): string {
    return nameOf([...this.#path, key]);
  }

  #value(key: string): Place {
    return entryOf(this.#tree, key)?.value.place ?? this.#tree.place;
  }

  #flaw(place: Place, key: string, message: string, fix: string): void {
    this.#flaws.push({ place, path: [...this.#path, key], message, fix });
  }
}
