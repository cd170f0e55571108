import type { Excerpt } from "./problem.ts";
import { type Choice, children } from "./schema-walk.ts";
import type { SourceText } from "./source-text.ts";
import type { Place, Tree } from "./tree.ts";

const MASK = "***";

/** The `user:password@` of a URL. */
export function maskUserInfo(text: string): string {
  return text.replaceAll(/:\/\/[^\s/@]*@/g, `://${MASK}@`);
}

/** The scalars that must not be shown: of secret keys, and of keys that nobody knows. */
export function hiddenPlaces(tree: Tree, options: readonly Choice[], into: Place[]): void {
  if (tree.kind === "map") {
    for (const [name, entry] of tree.entries)
      hiddenPlaces(
        entry.value,
        options.flatMap((choice) => children(choice, name)),
        into,
      );
  } else if (tree.kind === "list") {
    tree.items.forEach((item, i) =>
      hiddenPlaces(
        item,
        options.flatMap((choice) => children(choice, i)),
        into,
      ),
    );
  } else if (tree.written !== "" && (options.length === 0 || options.some((choice) => choice.secret))) {
    into.push(tree.place);
  }
}

const MAX_LINE = 160;

/** The line of a place, masked. */
export function excerpt(source: SourceText, place: Place, hidden: readonly Place[]): Excerpt {
  const line = source.line(place.line);
  const end = line.start + line.text.length;
  let text = "";
  let column = place.column;
  let { length } = place;
  let done = line.start;
  const inLine = hidden.filter((mask) => mask.file === place.file && mask.start < end && mask.end > line.start);
  for (const mask of [...inLine].sort((a, b) => a.start - b.start)) {
    const from = Math.max(mask.start, done);
    const to = Math.min(mask.end, end);
    if (to <= from) continue;
    text += source.text.slice(done, from);
    const maskColumn = text.length + 1;
    text += MASK;
    if (place.start >= to) column += MASK.length - (to - from);
    else if (place.start >= from) {
      column = maskColumn;
      length = MASK.length;
    } else if (place.start + place.length > from) length += MASK.length - (to - from);
    done = to;
  }
  text += source.text.slice(done, end);
  const userInfo = maskUserInfo(text);
  if (userInfo !== text) {
    text = userInfo;
    column = Math.min(column, text.length);
    length = Math.min(length, text.length - column + 1);
  }
  if (text.length > MAX_LINE && column + length <= MAX_LINE) text = `${text.slice(0, MAX_LINE)}…`;
  else if (text.length > MAX_LINE) {
    const from = column - 21;
    return { text: `…${text.slice(from, from + MAX_LINE)}`, column: 22, length: Math.min(length, MAX_LINE - 20) };
  }
  return { text, column, length: Math.max(1, length) };
}

const SECTION = /^["']?([A-Za-z_-]+)["']?[ \t]*:/;
const OPEN_SECTIONS = new Set(["syncs", "models", "state", "log", "name"]);
const SENSITIVE = /secret|token|passw|pwd|key|auth|credential|header|url|cert|-----/i;

/**
 * The line of a place in a file whose structure is not known because it is not YAML: what stands behind a key is shown
 * only in sections that hold no secrets.
 */
export function rawExcerpt(source: SourceText, place: Place): Excerpt {
  const { text } = source.line(place.line);
  const show = (shownText: string): Excerpt => {
    const column = Math.min(place.column, shownText.length + 1);
    return { text: shownText, column, length: Math.max(1, Math.min(place.length, shownText.length - column + 1)) };
  };
  if (OPEN_SECTIONS.has(sectionOf(source, place.line)) && !SENSITIVE.test(text)) return show(text.slice(0, MAX_LINE));
  const key = /^([\s-]*[\w"'.-]+\s*:(?=\s|$))(.*)$/.exec(text);
  if (key !== null) return show(key[2]?.trim() === "" ? text : `${key[1]} ${MASK}`);
  const indent = /^\s*/.exec(text)?.[0] ?? "";
  return show(text.trim() === "" ? text : `${indent}${MASK}`);
}

function sectionOf(source: SourceText, line: number): string {
  for (let number = line; number >= 1; number--) {
    const match = SECTION.exec(source.line(number).text);
    if (match?.[1] !== undefined) return match[1];
  }
  return "";
}
