import * as z from "zod";
import { NAME } from "./schema-parts.ts";

type Schema = z.core.$ZodType;
type Def = z.core.$ZodTypes["_zod"]["def"];

/** One thing that a place may hold, with every wrapper (default, optional, pipe, …) taken off. */
export interface Choice {
  readonly schema: Schema;
  readonly secret: boolean;
  readonly wanted: string | null;
  readonly example: string | null;
}

interface Notes {
  readonly secret: boolean;
  readonly wanted: string | null;
  readonly example: string | null;
}

const NO_NOTES: Notes = { secret: false, wanted: null, example: null };

export function defOf(schema: Schema): Def {
  return (schema as z.core.$ZodTypes)._zod.def;
}

function notesOf(schema: Schema, outer: Notes): Notes {
  const meta: Record<string, unknown> = z.globalRegistry.get(schema) ?? {};
  const examples = meta["examples"];
  const example: unknown = Array.isArray(examples) ? examples[0] : undefined;
  const shown =
    typeof example === "string" || typeof example === "number" || typeof example === "boolean" ? String(example) : null;
  const wanted = meta["wanted"];
  return {
    secret: outer.secret || meta["secret"] === true,
    wanted: outer.wanted ?? (typeof wanted === "string" ? wanted : null),
    example: outer.example ?? shown,
  };
}

export function choices(schema: Schema, outer: Notes = NO_NOTES): readonly Choice[] {
  const notes = notesOf(schema, outer);
  const def = defOf(schema);
  switch (def.type) {
    case "optional":
    case "nullable":
    case "default":
    case "prefault":
    case "catch":
    case "readonly":
    case "nonoptional":
    case "success":
    case "promise":
      return choices(def.innerType, notes);
    case "lazy":
      return choices(def.getter(), notes);
    case "pipe":
      return choices(defOf(def.in).type === "transform" ? def.out : def.in, notes);
    case "union":
      return def.options.flatMap((option) => choices(option, notes));
    default:
      return [{ schema, ...notes }];
  }
}

/** What may stand under this key or index; empty when nothing may. */
export function children(choice: Choice, step: string | number): readonly Choice[] {
  const def = defOf(choice.schema);
  const notes: Notes = { secret: choice.secret, wanted: null, example: null };
  if (def.type === "object") {
    if (typeof step !== "string") return [];
    const child = Object.hasOwn(def.shape, step) ? def.shape[step] : def.catchall;
    return child === undefined || defOf(child).type === "never" ? [] : choices(child, notes);
  }
  if (def.type === "record") return typeof step === "string" ? choices(def.valueType, notes) : [];
  if (def.type === "array") return typeof step === "number" ? choices(def.element, notes) : [];
  if (def.type === "tuple") {
    const item = def.items[Number(step)] ?? def.rest;
    return item === null || item === undefined ? [] : choices(item, notes);
  }
  if (def.type === "intersection")
    return [...choices(def.left, notes), ...choices(def.right, notes)].flatMap((part) => children(part, step));
  return def.type === "any" || def.type === "unknown" ? [choice] : [];
}

export function choicesAt(schema: Schema, path: readonly (string | number)[]): readonly Choice[] {
  let current = choices(schema);
  for (const step of path) current = current.flatMap((choice) => children(choice, step));
  return current;
}

/** The keys that an object here may have; null when it takes any. */
export function knownKeys(options: readonly Choice[]): readonly string[] | null {
  const keys = new Set<string>();
  for (const { schema } of options) {
    const def = defOf(schema);
    if (def.type === "object") {
      if (def.catchall !== undefined && defOf(def.catchall).type !== "never") return null;
      for (const key of Object.keys(def.shape)) keys.add(key);
    } else if (def.type === "intersection") {
      const parts = knownKeys([...choices(def.left), ...choices(def.right)]);
      if (parts === null) return null;
      for (const key of parts) keys.add(key);
    } else if (def.type === "record" || def.type === "any" || def.type === "unknown") return null;
  }
  return [...keys];
}

export type ScalarKind = "string" | "number" | "boolean" | "null";

/** Which kinds of scalar fit. */
export function scalarKinds(options: readonly Choice[]): ReadonlySet<ScalarKind> {
  const kinds = new Set<ScalarKind>();
  for (const { schema } of options) {
    const def = defOf(schema);
    if (def.type === "string" || def.type === "template_literal") kinds.add("string");
    else if (def.type === "number") kinds.add("number");
    else if (def.type === "boolean") kinds.add("boolean");
    else if (def.type === "null") kinds.add("null");
    else if (def.type === "any" || def.type === "unknown") kinds.add("string");
    else if (def.type === "enum" || def.type === "literal") {
      for (const value of def.type === "enum" ? Object.values(def.entries) : def.values) {
        const kind = value === null ? "null" : typeof value;
        if (kind === "string" || kind === "number" || kind === "boolean" || kind === "null") kinds.add(kind);
      }
    }
  }
  return kinds;
}

/** "a text", "a whole number", "`a` or `b`", "a list": what one choice is, in words. */
export function inWords({ schema, wanted }: Choice): string {
  if (wanted !== null) return wanted;
  const def = defOf(schema);
  switch (def.type) {
    case "string":
      return stringInWords(schema);
    case "number":
      return isWhole(schema) ? "a whole number" : "a number";
    case "boolean":
      return "true or false";
    case "null":
      return "null";
    case "array":
    case "tuple":
      return "a list";
    case "object":
    case "record":
    case "intersection":
      return "a mapping";
    case "enum":
      return alternatives(Object.values(def.entries));
    case "literal":
      return alternatives(def.values);
    default:
      return "another value";
  }
}

function stringInWords(schema: Schema): string {
  return formatsOf(schema).includes("url") ? "a URL" : "a text";
}

function isWhole(schema: Schema): boolean {
  return formatsOf(schema).some((format) => format === "safeint" || format === "int32" || format === "uint32");
}

/** A format stands in the schema itself (`z.int()`) or in one of its checks (`z.number().int()`). */
function formatsOf(schema: Schema): readonly unknown[] {
  const own = defOf(schema) as { readonly format?: unknown };
  const checks = defOf(schema).checks ?? [];
  return [own.format, ...checks.map((check) => (check._zod.def as { readonly format?: unknown }).format)];
}

export function alternatives(values: readonly unknown[]): string {
  return joined(values.map((value) => `\`${String(value)}\``));
}

/** "a, b or c", without repeats. */
export function joined(words: readonly string[]): string {
  const unique = [...new Set(words)];
  const last = unique.pop() ?? "nothing";
  return unique.length === 0 ? last : `${unique.join(", ")} or ${last}`;
}

export function isName(text: string): boolean {
  return NAME.test(text);
}
