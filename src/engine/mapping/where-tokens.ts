/** A mistake in a `where`, at an offset of its text. */
export class WhereMistake extends Error {
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/**
 * `word`: an identifier or keyword as written; `quoted`: an identifier in double quotes; `string`, `number`: literals;
 * `symbol`: an operator, a parenthesis or a comma; `end`: after the last.
 */
export interface Token {
  readonly kind: "word" | "quoted" | "string" | "number" | "symbol" | "end";
  /** Quotes removed; keywords and numbers as written. */
  readonly text: string;
  readonly offset: number;
}

const TOKEN =
  /(?<space>\s+)|(?<word>[\p{L}_][\p{L}\p{N}_$]*)|"(?<quoted>(?:[^"]|"")*)"|'(?<string>(?:[^']|'')*)'|(?<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?)|(?<symbol><=|>=|<>|!=|[=<>(),+-])/uy;

export function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let offset = 0;
  while (offset < text.length) {
    TOKEN.lastIndex = offset;
    const groups = TOKEN.exec(text)?.groups;
    if (groups === undefined) throw unreadable(text, offset);
    const end = TOKEN.lastIndex;
    const token = tokenOf(groups, offset);
    if (token !== null) {
      const adjoining = text.slice(end, end + 1);
      if (token.kind === "number" && /[\p{L}\p{N}_.$]/u.test(adjoining)) {
        throw new WhereMistake(`a number cannot be followed by "${adjoining}"`, end);
      }
      if (token.kind === "word" && adjoining === "'") {
        throw new WhereMistake(`strings with a prefix (${token.text}'…') are not supported`, offset);
      }
      tokens.push(token);
    }
    offset = end;
  }
  tokens.push({ kind: "end", text: "", offset: text.length });
  return tokens;
}

function tokenOf(groups: Readonly<Record<string, string | undefined>>, offset: number): Token | null {
  const { word, quoted, string, number, symbol } = groups;
  if (word !== undefined) return { kind: "word", text: word, offset };
  if (quoted !== undefined) return { kind: "quoted", text: quoted.replaceAll('""', '"'), offset };
  if (string !== undefined) return { kind: "string", text: string.replaceAll("''", "'"), offset };
  if (number !== undefined) return { kind: "number", text: number, offset };
  if (symbol !== undefined) return { kind: "symbol", text: symbol, offset };
  return null;
}

function unreadable(text: string, offset: number): WhereMistake {
  const character = String.fromCodePoint(text.codePointAt(offset)!);
  if (character === "'") return new WhereMistake("the string is not closed", offset);
  if (character === '"') return new WhereMistake("the quoted name is not closed", offset);
  return new WhereMistake(`"${character}" is not part of a condition`, offset);
}
