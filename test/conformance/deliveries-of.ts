// Random histories of a few keys, as deliveries, with the state that they must leave behind.
import { array, boolean, constant, constantFrom, oneof, record, string, type Arbitrary } from "fast-check";
import type { Delivery, Field, Shape, Target } from "../../src/contracts/destination.ts";
import type { Mode, OnDelete } from "../../src/contracts/sync.ts";
import { UNCHANGED, type Value } from "../../src/contracts/values.ts";
import { delivery, shapeOf } from "../support/deliveries.ts";
import { keyText } from "../support/envelope.ts";
import type { RowTexts } from "../support/oracle.ts";

const HOSTILE = `we"ird na'me`;
const FIELDS: Readonly<Record<string, string>> = {
  id: "bigint",
  region: "text",
  name: "text",
  [HOSTILE]: "text",
  amount: "numeric",
  active: "boolean",
  doc: "jsonb",
  seen_at: "timestamp with time zone",
};
const ARCHIVED: Field = { name: "archived", type: "boolean", json: "boolean" };

/** One mode, with what it does with a row that is gone. */
export interface Case {
  readonly mode: Mode;
  readonly onDelete: OnDelete;
}

export function caseName({ mode, onDelete }: Case): string {
  return mode === "mirror" ? `mirror, on_delete: ${onDelete.kind}` : mode;
}

export function targetOf(
  of: Case,
  sync: string,
  place: { object: string | null; options: unknown },
  wide = false,
): Target {
  const mapped = shapeOf(FIELDS).fields;
  const shape: Shape = { fields: of.onDelete.kind === "archive" ? [...mapped, ARCHIVED] : mapped };
  return { sync, ...place, mode: of.mode, onDelete: of.onDelete, match: wide ? ["region", "id"] : ["id"], shape };
}

export interface Step {
  readonly id: string;
  readonly region: string;
  readonly kind: "put" | "part" | "gone";
  readonly values: readonly (string | null)[];
  /** For `part`: which values are left out. */
  readonly without: readonly boolean[];
  /** The batch ends here. */
  readonly cut: boolean;
  /** The batch is sent again, whole, as after an answer that was lost. */
  readonly again: boolean;
}

/** No NUL: no source prints one that a text column could hold. */
const text = string({ unit: "binary", maxLength: 12 }).map((each) => each.replaceAll("\0", "0"));
const nullable = (values: Arbitrary<string>): Arbitrary<string | null> =>
  oneof({ weight: 1, arbitrary: constant(null) }, { weight: 5, arbitrary: values });

/** `unstorable`: texts, by field, that are not to come. */
export function steps(canary: string, unstorable: Readonly<Record<string, readonly string[]>> = {}): Arbitrary<Step[]> {
  const names = oneof(text, constantFrom("", "null", "\\N", "it's", "a\tb\nc\rd", "日本語 🚰", "\u202eabc", canary));
  const values: Readonly<Record<string, Arbitrary<string | null>>> = {
    name: nullable(names),
    [HOSTILE]: nullable(names),
    amount: nullable(constantFrom("0", "-1.50", "12345678901234567890.1234567890", "NaN", "0.000000000000000001")),
    active: nullable(constantFrom("true", "false")),
    doc: nullable(
      constantFrom("{}", "[]", '{"n": 12345678901234567890.0123456789, "s": "\\"é"}', "[1, null, {}]", "7"),
    ),
    seen_at: nullable(constantFrom("2026-01-02 03:04:05.123456+00", "infinity", "-infinity")),
  };
  const columns = Object.entries(values).map(([field, texts]) => {
    const never = unstorable[field];
    return never === undefined ? texts : texts.filter((each) => each === null || !never.includes(each));
  });
  const one = record({
    id: constantFrom("1", "2", "-3", "9223372036854775807", "-9223372036854775808"),
    region: constantFrom("eu", "日本", ""),
    kind: constantFrom("put", "put", "part", "gone"),
    values: record(Object.fromEntries(columns.entries())).map((each) => columns.map((_column, at) => each[at] ?? null)),
    without: array(boolean(), { minLength: columns.length, maxLength: columns.length }),
    cut: boolean(),
    again: constantFrom(false, false, false, true),
  });
  return array(one as Arbitrary<Step>, { minLength: 1, maxLength: 40 });
}

export interface History {
  readonly batches: readonly { readonly rows: readonly Delivery[]; readonly again: boolean }[];
  readonly state: ReadonlyMap<string, RowTexts>;
  readonly ids: readonly string[];
}

/** `existing`: keys that are there already (mode `update`); only they are written then. */
export function historyOf(
  target: Target,
  all: readonly Step[],
  options: { partial: boolean; batchRows: number; existing?: ReadonlyMap<string, RowTexts> },
): History {
  const { mode, onDelete, match, sync } = target;
  const mapped: Shape = { fields: target.shape.fields.filter((field) => field !== ARCHIVED) };
  const matchShape: Shape = {
    fields: match.map((name) => mapped.fields.find((field) => field.name === name) as Field),
  };
  const archiveShape: Shape = { fields: [...matchShape.fields, ARCHIVED] };
  const state = new Map<string, RowTexts>(options.existing);
  const batches: { rows: Delivery[]; again: boolean }[] = [];
  const ids: string[] = [];
  let rows: Delivery[] = [];
  const close = (again: boolean): void => {
    if (rows.length > 0) batches.push({ rows, again });
    rows = [];
  };
  for (const step of all) {
    const keys: Readonly<Record<string, string>> = { id: step.id, region: step.region };
    const matchValues = match.map((name) => keys[name] as string);
    const key = keyText(matchValues);
    const before = state.get(key);
    const texts = (values: readonly Value[], shape: Shape): RowTexts =>
      Object.fromEntries(
        shape.fields.flatMap((field, at) =>
          typeof values[at] === "symbol" ? [] : [[field.name, values[at] as string | null]],
        ),
      );
    const partly = step.kind === "part" && options.partial && before !== undefined;
    const full: Value[] = mapped.fields.map(({ name }, at) => {
      if (name in keys) return keys[name] as string;
      // `id` and `region` come first in the shape.
      return partly && step.without[at - 2] === true ? UNCHANGED : (step.values[at - 2] ?? null);
    });
    const make = (op: Delivery["op"], shape: Shape, values: readonly Value[], change: Delivery["change"]): Delivery =>
      delivery({ op, shape, values, matchFields: match, match: matchValues, key: matchValues, sync, change });
    const change = step.kind === "gone" ? "delete" : before === undefined ? "insert" : "update";
    let next: Delivery | null = null;
    if (mode === "event") {
      if (change === "delete" && before === undefined) continue;
      next = make(
        "event",
        mapped,
        full.map((value) => (value === UNCHANGED ? null : value)),
        change,
      );
      if (change === "delete") state.delete(key);
      else state.set(key, {});
    } else if (step.kind === "gone") {
      if (mode !== "mirror" || before === undefined || onDelete.kind === "ignore") continue;
      if (onDelete.kind === "delete") {
        next = make("delete", matchShape, matchValues, change);
        state.delete(key);
      } else if (onDelete.kind === "archive") {
        next = make("archive", archiveShape, [...matchValues, "true"], change);
        state.set(key, { ...before, archived: "true" });
      } else {
        const cleared = mapped.fields.map(({ name }) => (match.includes(name) ? (keys[name] as string) : null));
        next = make("clear", mapped, cleared, change);
        state.set(key, { ...before, ...texts(cleared, mapped) });
      }
    } else {
      if (mode === "insert" && before !== undefined) continue;
      if (mode === "update" && before === undefined) continue;
      next = make(mode === "insert" ? "create" : mode === "update" ? "update" : "upsert", mapped, full, change);
      state.set(key, { ...before, ...texts(full, mapped) });
    }
    // In modes that send state the engine never puts two versions of a key into one batch.
    if (mode !== "event" && rows.some((row) => keyText(row.key) === key)) close(false);
    rows.push(next);
    ids.push(next.id);
    if (step.cut || rows.length >= options.batchRows) close(step.again);
  }
  close(false);
  return { batches, state, ids };
}
