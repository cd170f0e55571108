// GoogleSQL in pieces: https://docs.cloud.google.com/bigquery/docs/reference/standard-sql/lexical
import { invalidQuery } from "./errors.ts";

export interface Token {
  readonly kind: "word" | "name" | "text" | "number" | "parameter" | "sign";
  /** A word as it is written; what a name or a text in quotes says. */
  readonly text: string;
  readonly at: number;
}

const PIECES =
  /\s+|--[^\n]*|#[^\n]*|\/\*[\s\S]*?\*\/|`((?:[^`\\]|\\.)*)`|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([A-Za-z_]\w*)|(\d+(?:\.\d+)?)|(@\w+)|(<>|<=|>=|!=|\|\||[-+*/%(),.;=<>[\]])/gy;

export function tokensOf(sql: string): Token[] {
  const tokens: Token[] = [];
  let end = 0;
  for (const match of sql.matchAll(PIECES)) {
    end = match.index + match[0].length;
    const [, name, single, double, word, number, parameter, sign] = match;
    const add = (kind: Token["kind"], text: string): number => tokens.push({ kind, text, at: match.index });
    if (name !== undefined) add("name", unescaped(name));
    else if (single !== undefined || double !== undefined) add("text", unescaped(single ?? double!));
    else if (word !== undefined) add("word", word);
    else if (number !== undefined) add("number", number);
    else if (parameter !== undefined) add("parameter", parameter.slice(1));
    else if (sign !== undefined) add("sign", sign);
  }
  if (end !== sql.length) throw invalidQuery(`Syntax error: Illegal input character at [1:${end + 1}]`);
  return tokens;
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/gs, (_, sign: string) => (sign === "n" ? "\n" : sign));
}
