// Databricks' SQL in tokens, as far as its dialect differs from DuckDB's: names in backticks, texts with escapes, parameters.
import { badSyntax } from "./refusal.ts";

export interface Token {
  readonly kind: "name" | "word" | "text" | "number" | "parameter" | "sign";
  /** Without quotes and escapes. */
  readonly value: string;
}

const TOKEN =
  /\s*(?:--[^\n]*\n\s*)*(?:`((?:[^`]|``)*)`|'((?:[^'\\]|\\.)*)'|:([A-Za-z_]\w*)|([A-Za-z_]\w*)|(\d+(?:\.\d+)?)|(<=|>=|<>|!=|\|\||[-+*/%(),.<>=;[\]:]))/sy;

export function tokensOf(sql: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const end = sql.trimEnd().length;
  while (at < end) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(sql);
    if (match === null) throw badSyntax(sql.slice(at, at + 10));
    at = TOKEN.lastIndex;
    const [, name, text, parameter, word, number, sign] = match;
    if (name !== undefined) tokens.push({ kind: "name", value: name.replaceAll("``", "`") });
    else if (text !== undefined) tokens.push({ kind: "text", value: text.replaceAll(/\\(.)/gs, "$1") });
    else if (parameter !== undefined) tokens.push({ kind: "parameter", value: parameter });
    else if (word !== undefined) tokens.push({ kind: "word", value: word });
    else if (number !== undefined) tokens.push({ kind: "number", value: number });
    else tokens.push({ kind: "sign", value: sign! });
  }
  return tokens;
}

export function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === "word" && token.value.toUpperCase() === word;
}

/** `a.b.c` from a place on: the parts and where it ends; null: no name begins there. */
export function nameAt(
  tokens: readonly Token[],
  at: number,
): { readonly parts: readonly string[]; readonly end: number } | null {
  const parts: string[] = [];
  for (let place = at; ; place += 2) {
    const token = tokens[place];
    if (token?.kind !== "name" && token?.kind !== "word") return parts.length === 0 ? null : { parts, end: place - 1 };
    parts.push(token.value);
    if (tokens[place + 1]?.value !== ".") return { parts, end: place + 1 };
  }
}
