// SQL in pieces: enough to find the names in it without touching texts and comments.
import { syntaxError } from "./errors.ts";

export interface Token {
  readonly kind: "word" | "name" | "text" | "number" | "bind" | "sign";
  /** As it is written; a word in capitals. */
  readonly text: string;
}

const PIECES =
  /\s+|--[^\n]*|\/\*[\s\S]*?\*\/|("(?:[^"]|"")*")|('(?:[^']|'')*')|(\$\$[\s\S]*?\$\$)|([A-Za-z_][\w$]*)|(\d+(?:\.\d+)?)|(\?|:\d+)|(::|=>|:=|<>|<=|>=|!=|\|\||[-+*/%(),.;=<>[\]{}:])/gy;

export function tokensOf(sql: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (const match of sql.matchAll(PIECES)) {
    if (match.index !== at) break;
    at += match[0].length;
    const [, name, text, dollars, word, number, bind, sign] = match;
    if (name !== undefined) tokens.push({ kind: "name", text: name });
    else if (text !== undefined) tokens.push({ kind: "text", text });
    else if (dollars !== undefined)
      tokens.push({ kind: "text", text: `'${dollars.slice(2, -2).replaceAll("'", "''")}'` });
    else if (word !== undefined) tokens.push({ kind: "word", text: word.toUpperCase() });
    else if (number !== undefined) tokens.push({ kind: "number", text: number });
    else if (bind !== undefined) tokens.push({ kind: "bind", text: "?" });
    else if (sign !== undefined) tokens.push({ kind: "sign", text: sign });
  }
  if (at !== sql.length) throw syntaxError(sql.slice(at));
  return tokens;
}

export function sqlOf(tokens: readonly Token[]): string {
  return tokens.map(({ text }) => text).join(" ");
}

/** What a text in quotes says. */
export function textOf(token: string): string {
  return token.slice(1, -1).replaceAll("''", "'");
}

/** A reading place in tokens. */
export class Reader {
  readonly tokens: readonly Token[];
  at: number;

  constructor(tokens: readonly Token[], at = 0) {
    this.tokens = tokens;
    this.at = at;
  }

  get done(): boolean {
    return this.at >= this.tokens.length;
  }

  peek(ahead = 0): string {
    return this.tokens[this.at + ahead]?.text ?? "";
  }

  next(): string {
    if (this.done) throw syntaxError("<EOF>");
    return this.tokens[this.at++]!.text;
  }

  /** Takes these words if they come next. */
  take(...words: readonly string[]): boolean {
    if (!words.every((word, ahead) => this.peek(ahead) === word)) return false;
    this.at += words.length;
    return true;
  }

  need(...words: readonly string[]): void {
    for (const word of words) if (!this.take(word)) throw syntaxError(this.peek());
  }

  /** `A.B.C`, each part folded to capitals where it is not quoted. */
  name(): string[] {
    const parts: string[] = [];
    do {
      const token = this.tokens[this.at];
      if (token?.kind === "name") parts.push(token.text.slice(1, -1).replaceAll('""', '"'));
      else if (token?.kind === "word") parts.push(token.text);
      else throw syntaxError(this.peek());
      this.at += 1;
    } while (this.take("."));
    return parts;
  }

  text(): string {
    const token = this.tokens[this.at];
    if (token?.kind !== "text") throw syntaxError(this.peek());
    this.at += 1;
    return textOf(token.text);
  }

  /** What is in the parentheses that open here, without them. */
  parenthesised(): Token[] {
    this.need("(");
    const from = this.at;
    for (let depth = 1; depth > 0;) {
      const token = this.next();
      if (token === "(") depth += 1;
      if (token === ")") depth -= 1;
    }
    return this.tokens.slice(from, this.at - 1);
  }

  rest(): Token[] {
    const rest = this.tokens.slice(this.at);
    this.at = this.tokens.length;
    return rest;
  }
}

/** At commas that are in no parentheses. */
export function listOf(tokens: readonly Token[]): Token[][] {
  const lists: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (token.text === "(") depth += 1;
    if (token.text === ")") depth -= 1;
    if (token.text === "," && depth === 0) lists.push([]);
    else lists.at(-1)!.push(token);
  }
  return lists[0]!.length === 0 ? [] : lists;
}
