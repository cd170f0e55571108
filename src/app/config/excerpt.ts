import { looksSecret } from "./discretion.ts";
import type { Excerpt } from "./problem.ts";
import type { SourceText } from "./source-text.ts";
import type { Place } from "./tree.ts";

const MASK = "***";
const MAX_LINE = 160;

/** The `user:password@` of a URL. */
export function maskUserInfo(text: string): string {
  return text.replaceAll(/:\/\/[^\s/@]*@/g, `://${MASK}@`);
}

/** What is YAML's own and not a key or value. Not aliases and anchors: a password may begin with `*` or `&`. */
const STRUCTURE = /^(?:[-?"']|[|>][+-]?|<<|---)$/;

/** Quoted texts, words (with the colons and variables in them), and what stands between. */
const WORDS = /"[^"]*"?|'[^']*'?|(?:\$\{[^}]*\}?|[^\s{}[\],:"']|:(?=[^\s"']))+|[\s{}[\],:]+/g;

/** The line of a place, in which only keys and values that may be shown are left; every other word is masked. */
export function excerpt(source: SourceText, place: Place, shown: readonly Place[]): Excerpt {
  const line = source.line(place.line);
  const end = line.start + line.text.length;
  const kept = shown
    .filter((range) => range.file === place.file && range.start < end && range.end > line.start)
    .sort((a, b) => a.start - b.start);
  const builder = new LineBuilder(place, line.start);
  let done = line.start;
  for (const { start, end: rangeEnd } of kept) {
    const from = Math.max(start, done);
    const to = Math.min(rangeEnd, end);
    if (to <= from) continue;
    builder.masked(source.text.slice(done, from), done);
    builder.kept(source.text.slice(from, to), from);
    done = to;
  }
  builder.masked(source.text.slice(done, end), done);
  return shortened(builder.finish());
}

/** Builds the masked line and follows where the mark goes. */
class LineBuilder {
  #text = "";
  #from = -1;
  #to = -1;
  readonly #start: number;
  readonly #end: number;

  constructor(place: Place, lineStart: number) {
    this.#start = Math.max(place.start, lineStart);
    this.#end = this.#start + place.length;
  }

  kept(text: string, offset: number): void {
    const shown = maskUserInfo(text);
    this.#mark(offset, offset + text.length, shown, shown === text);
  }

  masked(text: string, offset: number): void {
    for (const match of text.matchAll(WORDS)) {
      const [word] = match;
      const start = offset + match.index;
      const isComment = word.startsWith("#");
      const harmless = STRUCTURE.test(word) || /^[\s{}[\],:]/.test(word);
      this.#mark(start, start + word.length, harmless ? word : MASK, harmless);
      if (!isComment) continue;
      return;
    }
  }

  /** `exact`: the characters are the file's own, so a mark may begin or end among them. */
  #mark(start: number, end: number, text: string, exact: boolean): void {
    const at = this.#text.length;
    this.#text += text;
    if (this.#from === -1 && this.#start < end) this.#from = exact ? at + Math.max(0, this.#start - start) : at;
    if (this.#end > start) this.#to = exact ? at + Math.min(text.length, this.#end - start) : this.#text.length;
  }

  finish(): Excerpt {
    const from = this.#from === -1 ? this.#text.length : this.#from;
    return { text: this.#text, column: from + 1, length: Math.max(1, this.#to - from) };
  }
}

function shortened({ text, column, length }: Excerpt): Excerpt {
  if (text.length <= MAX_LINE) return { text, column, length };
  if (column + length <= MAX_LINE) return { text: `${text.slice(0, MAX_LINE)}…`, column, length };
  const from = column - 21;
  return { text: `…${text.slice(from, from + MAX_LINE)}`, column: 22, length: Math.min(length, MAX_LINE - 20) };
}

const SECTION = /^["']?([A-Za-z_-]+)["']?[ \t]*:/;
const OPEN_SECTIONS = new Set(["syncs", "models"]);
const SENSITIVE_LINE = /secret|token|passw|pwd|key|auth|credential|header|url|cert|options|-----|#/i;

/**
 * The line of a place in a file whose structure is not known because it is not YAML. What stands behind a key is shown
 * only in sections that hold no secrets; null when nothing is left to show.
 */
export function rawExcerpt(source: SourceText, place: Place): Excerpt | null {
  const { text } = source.line(place.line);
  const shown = rawLine(source, place, text);
  if (shown === null) return null;
  const column = Math.min(place.column, shown.length + 1);
  return { text: shown, column, length: Math.max(1, Math.min(place.length, shown.length - column + 1)) };
}

function rawLine(source: SourceText, place: Place, text: string): string | null {
  if (text.trim() === "") return null;
  if (/^(---|\.\.\.|%YAML [\d.]+)\s*$/.test(text)) return text;
  const isOpen = OPEN_SECTIONS.has(sectionOf(source, place.line));
  if (isOpen && !SENSITIVE_LINE.test(text) && !looksSecret(text)) return text.slice(0, MAX_LINE);
  const key = /^([\s-]*[\w"'.-]+\s*:(?=\s|$))(.*)$/.exec(text);
  if (key === null) return null;
  if (looksSecret(key[1] ?? "")) return null;
  return key[2]?.trim() === "" ? text : `${key[1]} ${MASK}`;
}

function sectionOf(source: SourceText, line: number): string {
  for (let number = line; number >= 1; number--) {
    const match = SECTION.exec(source.line(number).text);
    if (match?.[1] !== undefined) return match[1];
  }
  return "";
}
