/**
 * `${VAR}` and `${VAR:-default}` in scalars; `$${` is a `${` that is meant as such.
 *
 * YAML would read the braces of `{ url: ${URL} }` as a mapping. So they are hidden from it: before parsing, every
 * character of such an expression is moved into a part of Unicode's private use area that the file does not use, one
 * for one, so that places stay true. After parsing they are moved back, and only then replaced: a value can never
 * change the structure.
 */
const HIDDEN = /\$?\$\{[A-Za-z_][A-Za-z0-9_]*(?::-[^}\n\r"'\\]*)?\}/g;
const BLOCK = 0x100;
const FIRST = 0xe000;
const LAST = 0xf800;

export interface Hidden {
  readonly text: string;
  /** What was written, of a text that came out of the hidden one. */
  reveal(text: string): string;
}

export function hideVariables(text: string): Hidden {
  const base = freeBlock(text);
  const move = (expression: string): string => shift(expression, (code) => (code < BLOCK ? code + base : code));
  const isHidden = (code: number): boolean => code >= base && code < base + BLOCK;
  return {
    text: text.replaceAll(HIDDEN, move),
    reveal: (hidden) => shift(hidden, (code) => (isHidden(code) ? code - base : code)),
  };
}

function freeBlock(text: string): number {
  const used = new Set<number>();
  for (let i = 0; i < text.length; i++) used.add(text.charCodeAt(i) >> 8);
  for (let base = FIRST; base < LAST; base += BLOCK) if (!used.has(base >> 8)) return base;
  return FIRST;
}

function shift(text: string, map: (code: number) => number): string {
  let result = "";
  for (let i = 0; i < text.length; i++) result += String.fromCharCode(map(text.charCodeAt(i)));
  return result;
}

export interface Substitution {
  readonly text: string;
  /** The variables that were named, with or without a value. */
  readonly names: readonly string[];
  /** The text was one expression and nothing else. */
  readonly whole: boolean;
  readonly missing: readonly string[];
  /** What stands after a `${` and is not an expression, to its end. */
  readonly malformed: readonly string[];
}

const EXPRESSION = /\$\$\{|\$\{([^}]*)(\}?)/g;
const INNER = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/;

export type Environment = Readonly<Record<string, string | undefined>>;

export function substitute(text: string, environment: Environment): Substitution {
  const names: string[] = [];
  const missing: string[] = [];
  const malformed: string[] = [];
  const result = text.replaceAll(EXPRESSION, (all: string, inner: string | undefined, close: string | undefined) => {
    if (inner === undefined) return "${";
    const [, name, fallback] = (close === "}" && INNER.exec(inner)) || [];
    if (name === undefined) {
      malformed.push(all);
      return all;
    }
    names.push(name);
    const value = environment[name];
    if (value !== undefined && (value !== "" || fallback === undefined)) return value;
    if (fallback !== undefined) return fallback;
    missing.push(name);
    return "";
  });
  const whole = names.length === 1 && /^\$\{[^}]*\}$/.test(text);
  return { text: result, names, whole, missing, malformed };
}
