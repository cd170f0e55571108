// What the parser makes of a text, and how it is looked at. Names are in small letters, as the database compares them.
import { NotLive } from "../../../kit/live-query/reasons.ts";
import type { Node } from "../../../kit/live-query/tree.ts";

/** What the parser makes: an object with one field that says what it is, or with several. */
export type Syntax = Readonly<Record<string, unknown>>;

/** A kind and what is inside of it: `{ BinaryOp: … }`, or `"CrossJoin"` alone. */
export function kindOf(node: unknown): readonly [kind: string, body: Syntax] {
  if (typeof node === "string") return [node, {}];
  const [[kind, body] = ["nothing", {}]] = Object.entries((node ?? {}) as Syntax);
  return [kind, body as Syntax];
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function isEmpty(value: unknown): boolean {
  return (
    value === null ||
    value === undefined ||
    value === false ||
    value === "None" ||
    (Array.isArray(value) && value.length === 0)
  );
}

/** Refuses what has other fields than these, unless they are empty. `what`: as a noun. */
export function only(node: Syntax, known: readonly string[], what: string): void {
  const other = Object.entries(node).find(([name, value]) => !known.includes(name) && !isEmpty(value));
  if (other) throw refused(`${other[0].replaceAll("_", " ")} in ${what}`, node);
}

export function refused(construct: string, node: unknown, advice = "write it in another way"): NotLive {
  const location = locationOf(node);
  return new NotLive(construct, advice, location === undefined ? null : placeOf(location));
}

const LINE = 1_000_000;

/** `line 3, column 7` */
export function placeOf(location: number | undefined): string | null {
  return location === undefined ? null : `line ${Math.floor(location / LINE)}, column ${location % LINE}`;
}

/** Where the first of its tokens is that says so. */
export function locationOf(node: unknown): number | undefined {
  if (typeof node !== "object" || node === null) return undefined;
  const { span } = node as { readonly span?: { readonly start?: { readonly line: number; readonly column: number } } };
  if (span?.start && span.start.line > 0) return span.start.line * LINE + span.start.column;
  for (const inner of Object.values(node)) {
    const location = locationOf(inner);
    if (location !== undefined) return location;
  }
  return undefined;
}

export function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}

/** A name as the database compares it. Of letters with accents, we do not know which it takes for the same. */
export function fold(name: string): string {
  if (!isAscii(name)) throw new NotLive(`the name ${name}, which is not ASCII`, "call it otherwise in the model");
  return name.toLowerCase();
}

export function nameIn(identifier: unknown): string {
  const { value } = identifier as { readonly value: string };
  return value;
}

/** The parts of `a.b.c`. */
export function namesIn(name: unknown): readonly string[] {
  return list(name).map((part) => {
    const [kind, body] = kindOf(part);
    if (kind !== "Identifier") throw refused("a name that is computed", part);
    return nameIn(body);
  });
}

export function strings(names: readonly string[]): Node[] {
  return names.map((sval) => ({ String: { sval } }));
}
