// Random histories of a vendor's rows, with the state that they must leave behind.
import type { DestinationConnector } from "../../src/contracts/destination.ts";
import type { Mode, OnDelete } from "../../src/contracts/sync.ts";
import { UNCHANGED, type Value } from "../../src/contracts/values.ts";
import type { RowTexts } from "../support/oracle.ts";
import { type Prng, prng } from "../support/prng.ts";
import type { VendorHarness } from "./vendor-harness.ts";

export interface VendorCase {
  readonly mode: Mode;
  readonly onDelete: OnDelete;
}

/** Every mode of the harness's object, and in `mirror` everything that can become of a row that is gone. */
export function casesOf(connector: DestinationConnector, harness: VendorHarness): readonly VendorCase[] {
  const objects = connector.guide?.objects ?? [];
  const declared = objects.find(({ name }) => name === harness.object) ?? objects.at(harness.object === null ? 0 : -1)!;
  const all = declared.modes.flatMap((mode): VendorCase[] => {
    if (mode !== "mirror") return [{ mode, onDelete: { kind: "ignore" } }];
    return declared.deletes.flatMap((kind): VendorCase[] => {
      if (kind !== "archive") return [{ mode, onDelete: { kind } }];
      return harness.archive === undefined ? [] : [{ mode, onDelete: { kind, fields: harness.archive.fields } }];
    });
  });
  return all.filter((of) => harness.cases?.(of) ?? true);
}

export interface VendorHistory {
  /** Rows that are there before, in mode `update`. */
  readonly existing: readonly Record<string, string | null>[];
  readonly steps: readonly { readonly kind: "insert" | "update" | "gone"; readonly row: Record<string, Value> }[];
  readonly state: ReadonlyMap<string, RowTexts>;
  /** Keys whose rows are gone, where their records stay: archived, or emptied. */
  readonly gone: ReadonlySet<string>;
  /** mode `event`: one text for each event. */
  readonly markers: readonly string[];
}

const KEYS = 40;
const STEPS = 200;

export function play(
  harness: VendorHarness,
  of: VendorCase,
  seed: number,
  canary: string,
  partial: boolean,
): VendorHistory {
  const random = prng(seed);
  const columns = Object.keys(harness.columns);
  const [keyColumn] = columns as [string, ...string[]];
  const rows = new Map<string, Record<string, string | null>>();
  const state = new Map<string, RowTexts>();
  const steps: { kind: "insert" | "update" | "gone"; row: Record<string, Value> }[] = [];
  const existing: Record<string, string | null>[] = [];
  const gone = new Set<string>();
  const markers: string[] = [];
  if (of.mode === "update") {
    for (let n = 0; n < KEYS / 2; n++) {
      const row = rowOf(harness, n, random, canary);
      existing.push(row);
      rows.set(row[keyColumn]!, row);
      state.set(row[keyColumn]!, storedRow(harness, row));
    }
  }
  for (let at = 0; at < STEPS; at++) {
    const fresh = rowOf(harness, of.mode === "insert" ? at : random.int(KEYS), random, canary);
    const key = fresh[keyColumn]!;
    const before = rows.get(key);
    const goes = before !== undefined && of.mode !== "insert" && of.mode !== "update" && random.chance(0.25);
    const row: Record<string, Value> = { ...fresh };
    if (of.mode === "event") {
      const marker = `event-${seed}-${at}`;
      row[harness.marker!] = marker;
      markers.push(marker);
      if (goes) rows.delete(key);
      else rows.set(key, fresh);
      steps.push({ kind: goes ? "gone" : before === undefined ? "insert" : "update", row });
      continue;
    }
    if (goes) {
      steps.push({ kind: "gone", row: { ...before } });
      rows.delete(key);
      const { kind } = of.onDelete;
      if (kind === "delete" && of.mode === "mirror") state.delete(key);
      if (kind === "archive" || kind === "clear") gone.add(key);
      continue;
    }
    if (of.mode === "update" && before === undefined) {
      // It is not there, and is not made.
      steps.push({ kind: "update", row });
      continue;
    }
    if (partial && before !== undefined && random.chance(0.3)) {
      for (const name of columns) if (name !== keyColumn && random.chance(0.4)) row[name] = UNCHANGED;
    }
    const whole = { ...before, ...Object.fromEntries(Object.entries(row).filter(([, value]) => value !== UNCHANGED)) };
    gone.delete(key);
    rows.set(key, whole as Record<string, string | null>);
    const sent = Object.fromEntries(Object.entries(row).filter(([, value]) => value !== UNCHANGED)) as Record<
      string,
      string | null
    >;
    state.set(key, { ...state.get(key), ...storedRow(harness, sent) });
    steps.push({ kind: before === undefined ? "insert" : "update", row });
  }
  return { existing, steps, state, gone, markers };
}

/** Whether a record whose row is gone is archived, or emptied. */
export function isGone(harness: VendorHarness, { onDelete }: VendorCase, record: RowTexts): boolean {
  if (onDelete.kind === "archive")
    return Object.entries(harness.archive!.stored).every(([name, text]) => record[name] === text);
  return Object.keys(harness.columns).every((name, at) => at === 0 || (record[name] ?? null) === null);
}

const TEXTS = [
  "",
  " ",
  "null",
  "it's",
  'say "no"',
  "a\tb\nc",
  "back\\slash",
  "日本語 🚰",
  "\u202eabc",
  "<b>&amp;</b>",
  "12345678901234567890",
  "é".normalize("NFD"),
];
const NUMBERS = ["0", "-1.50", "12345678901234567890.1234567890", "9007199254740993", "0.000000000000000001"];

/** Row `n`, with values of its columns' types; about one text in eight holds `canary`. */
export function rowOf(harness: VendorHarness, n: number, random: Prng, canary: string): Record<string, string | null> {
  const row: Record<string, string | null> = {};
  for (const [at, [name, type]] of Object.entries(harness.columns).entries()) {
    const own = harness.values?.[name];
    if (at === 0) row[name] = harness.key?.(n) ?? `key-${n}`;
    else if (own !== undefined) row[name] = own(random);
    else if (random.chance(0.15)) row[name] = null;
    else row[name] = valueOf(type, random, canary);
  }
  return row;
}

function valueOf(type: string, random: Prng, canary: string): string {
  if (type === "boolean") return random.pick(["true", "false"]);
  if (type === "bigint" || type === "integer") return String(random.int(2_000_000) - 1_000_000);
  if (type === "numeric") return random.pick(NUMBERS);
  if (type === "date") return `20${10 + random.int(20)}-0${1 + random.int(9)}-1${random.int(10)}`;
  if (type.startsWith("timestamp")) return `2026-01-0${1 + random.int(9)} 03:04:05.12345${random.int(10)}+00`;
  if (type === "jsonb") return random.pick(["{}", "[]", '{"n": 12345678901234567890.5}']);
  if (random.chance(0.125)) return canary;
  return random.chance(0.5) ? random.pick(TEXTS) : `text ${random.int(1000)}`;
}

/** What the vendor holds of a row. */
export function storedRow(harness: VendorHarness, row: Readonly<Record<string, string | null>>): RowTexts {
  const stored = harness.stored;
  if (stored === undefined) return row;
  return Object.fromEntries(Object.entries(row).map(([name, text]) => [name, stored(name, text)]));
}
