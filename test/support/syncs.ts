// Syncs and relations as the configuration and a PostgreSQL source would make them, for tests of the engine.
import type { Column, JsonEncoding, Relation } from "../../src/contracts/relation.ts";
import type { FieldMapping, RowCode, Sync } from "../../src/contracts/sync.ts";
import { tableModel } from "./models.ts";

/** `{ id: "bigint", plan: "text" }`; the first column is the key unless `key` says otherwise. */
export function relationWith(
  columns: Readonly<Record<string, string>> | readonly Column[],
  overrides: Partial<Relation> = {},
): Relation {
  return {
    id: "16384",
    namespace: "public",
    name: "users",
    version: 1,
    columns: Array.isArray(columns)
      ? (columns as readonly Column[])
      : Object.entries(columns as Readonly<Record<string, string>>).map(([name, type]) => columnOf(name, type)),
    key: [0],
    oldRows: "key",
    ...overrides,
  };
}

export function columnOf(name: string, type: string): Column {
  const json = encodingOf(type);
  const comparison = json === "number" || json === "boolean" ? json : "text";
  return { name, type, json, comparison, nullable: true };
}

function encodingOf(type: string): JsonEncoding {
  if (/^(smallint|integer|bigint|numeric|real|double precision)$/.test(type)) return "number";
  if (type === "boolean") return "boolean";
  if (type === "json" || type === "jsonb") return "json";
  // Enough for `{a,b}`, which is all that tests write.
  if (type === "text[]") return (text) => JSON.stringify(text.slice(1, -1).split(",").filter(Boolean));
  return "string";
}

/** A mirror sync of every column to which the overrides are applied. */
export function syncWith(overrides: Partial<Sync> = {}): Sync {
  return {
    name: "users_to_crm",
    model: { ...tableModel("users"), source: "warehouse" },
    destination: "crm",
    object: "contacts",
    mode: "mirror",
    onDelete: { kind: "delete" },
    maxDeletes: { kind: "share", share: 0.3 },
    on: ["insert", "update", "delete"],
    match: null,
    where: null,
    map: null,
    backfill: true,
    batch: { rows: null, bytes: null, ageMs: null },
    onGap: "stop",
    onMappingChange: "ask",
    onTruncate: "stop",
    unchanged: "auto",
    attempts: 5,
    maxLagMs: null,
    maxWaitMs: 30_000,
    failureShare: 0.05,
    options: null,
    at: "tailrace.yml:10:3",
    ...overrides,
  };
}

type Common = Partial<Pick<FieldMapping, "null" | "as" | "at">>;
export type MapEntry =
  | string
  | (Common &
      (
        | { readonly column: string }
        | { readonly value: string | number | boolean | null }
        | { readonly template: string }
        | { readonly code: RowCode }
      ));

/** A `map` as it is written in YAML: `{ email: "email", tier: { value: "gold" }, was: "old.tier" }`. */
export function mapOf(map: Readonly<Record<string, MapEntry>>): readonly FieldMapping[] {
  return Object.entries(map).map(([field, entry]) => {
    const given = typeof entry === "string" ? { column: entry } : entry;
    const common = {
      field,
      null: given.null ?? "send",
      as: given.as ?? null,
      at: given.at ?? "tailrace.yml:14:7",
    } as const;
    if ("value" in given) return { ...common, kind: "constant", value: given.value };
    if ("template" in given) return { ...common, kind: "template", template: given.template };
    if ("code" in given) return { ...common, kind: "code", code: given.code };
    const old = given.column.startsWith("old.");
    return { ...common, kind: "column", column: old ? given.column.slice("old.".length) : given.column, old };
  });
}

/** What the function throws, as an Error. */
export function thrownBy(action: () => unknown): Error {
  try {
    action();
  } catch (error) {
    if (error instanceof Error) return error;
    throw new Error("something else than an Error was thrown", { cause: error });
  }
  throw new Error("nothing was thrown");
}
