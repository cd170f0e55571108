import { tokensOf, WhereMistake, type Token } from "./where-tokens.ts";

export type ComparisonOperator = "=" | "<>" | "<" | "<=" | ">" | ">=";

/** A condition or an operand, with the offset of its first character. */
export type Expression = Operand | Logic;

export type Operand = { readonly offset: number } & (
  | { readonly kind: "column"; readonly name: string; readonly quoted: boolean }
  | { readonly kind: "string"; readonly text: string }
  | { readonly kind: "number"; readonly text: string }
  | { readonly kind: "boolean"; readonly value: boolean }
  | { readonly kind: "null" }
);

export type Logic = { readonly offset: number } & (
  | { readonly kind: "and" | "or"; readonly operands: readonly Expression[] }
  | { readonly kind: "not"; readonly operand: Expression }
  | {
      readonly kind: "compare";
      readonly operator: ComparisonOperator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly kind: "distinct"; readonly left: Expression; readonly right: Expression }
  | { readonly kind: "is"; readonly what: "null" | "true" | "false"; readonly operand: Expression }
  | { readonly kind: "in"; readonly operand: Expression; readonly list: readonly Expression[] }
  | { readonly kind: "between"; readonly operand: Expression; readonly low: Expression; readonly high: Expression }
  | {
      readonly kind: "like";
      readonly operand: Expression;
      readonly pattern: string;
      readonly escape: string;
      readonly ignoreCase: boolean;
    }
);

const RESERVED = new Set(
  "and or not in is null true false between like ilike escape distinct from unknown case when then else end cast select".split(
    " ",
  ),
);
const COMPARISONS: ReadonlyMap<string, ComparisonOperator> = new Map([
  ["=", "="],
  ["<>", "<>"],
  ["!=", "<>"],
  ["<", "<"],
  ["<=", "<="],
  [">", ">"],
  [">=", ">="],
]);
/** Enough for any condition a person writes, and far from the end of the stack. */
const MAX_DEPTH = 200;
const TOO_DEEP = "the condition is nested too deeply";

/** Throws {@link WhereMistake}. */
export function parseWhere(text: string): Expression {
  return new Parser(tokensOf(text)).whole();
}

/** Precedence as in PostgreSQL, loosest first: OR, AND, NOT, IS, comparison, then IN, BETWEEN and LIKE. */
class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  whole(): Expression {
    if (this.#isEnd()) throw new WhereMistake("the condition is empty", 0);
    const expression = this.#or();
    if (!this.#isEnd()) throw this.#unexpected("the end of the condition");
    return expression;
  }

  #or(): Expression {
    const operands = [this.#and()];
    while (this.#takeWord("or")) operands.push(this.#and());
    const first = operands[0]!;
    return operands.length === 1 ? first : { kind: "or", operands, offset: first.offset };
  }

  #and(): Expression {
    const operands = [this.#not()];
    while (this.#takeWord("and")) operands.push(this.#not());
    const first = operands[0]!;
    return operands.length === 1 ? first : { kind: "and", operands, offset: first.offset };
  }

  #not(): Expression {
    const { offset } = this.#token;
    if (!this.#takeWord("not")) return this.#is();
    return this.#deeper(() => ({ kind: "not", operand: this.#not(), offset }));
  }

  #is(): Expression {
    let operand = this.#comparison();
    for (let links = 0; this.#takeWord("is"); links++) {
      const { offset } = operand;
      if (links === MAX_DEPTH) throw new WhereMistake(TOO_DEEP, offset);
      const negated = this.#takeWord("not");
      operand = negate(negated, this.#isWhat(operand, offset));
    }
    return operand;
  }

  #isWhat(operand: Expression, offset: number): Expression {
    if (this.#takeWord("null") || this.#takeWord("unknown")) return { kind: "is", what: "null", operand, offset };
    if (this.#takeWord("true")) return { kind: "is", what: "true", operand, offset };
    if (this.#takeWord("false")) return { kind: "is", what: "false", operand, offset };
    if (this.#takeWord("distinct")) {
      this.#expectWord("from");
      return { kind: "distinct", left: operand, right: this.#comparison(), offset };
    }
    throw this.#unexpected("NULL, TRUE, FALSE or DISTINCT FROM after IS");
  }

  #comparison(): Expression {
    const left = this.#ranged();
    const operator = this.#takeComparison();
    if (operator === null) return left;
    const right = this.#ranged();
    const again = this.#token;
    if (again.kind === "symbol" && COMPARISONS.has(again.text)) {
      throw new WhereMistake("comparisons cannot be chained; join them with AND", again.offset);
    }
    return { kind: "compare", operator, left, right, offset: left.offset };
  }

  /** An operand with IN, BETWEEN or LIKE after it. */
  #ranged(): Expression {
    const operand = this.#operand();
    const negated = this.#isWord("not") && this.#takeWord("not");
    const { offset } = operand;
    if (this.#takeWord("in")) return negate(negated, { kind: "in", operand, list: this.#list(), offset });
    if (this.#takeWord("between")) {
      const low = this.#operand();
      this.#expectWord("and");
      return negate(negated, { kind: "between", operand, low, high: this.#operand(), offset });
    }
    if (this.#isWord("like") || this.#isWord("ilike")) return negate(negated, this.#like(operand));
    if (negated) throw this.#unexpected("IN, BETWEEN, LIKE or ILIKE after NOT");
    return operand;
  }

  #list(): readonly Expression[] {
    this.#expectSymbol("(");
    const list = [this.#operand()];
    while (this.#takeSymbol(",")) list.push(this.#operand());
    this.#expectSymbol(")");
    return list;
  }

  #like(operand: Expression): Expression {
    const ignoreCase = this.#isWord("ilike");
    this.#next++;
    const pattern = this.#string("a pattern in single quotes");
    let escape = "\\";
    if (this.#takeWord("escape")) {
      const { offset } = this.#token;
      escape = this.#string("one character in single quotes after ESCAPE");
      if (Array.from(escape).length > 1) throw new WhereMistake("ESCAPE takes one character, or none", offset);
    }
    return { kind: "like", operand, pattern, escape, ignoreCase, offset: operand.offset };
  }

  #operand(): Expression {
    const token = this.#token;
    const { offset } = token;
    if (token.kind === "string") return this.#advance({ kind: "string", text: token.text, offset });
    if (token.kind === "number") return this.#advance({ kind: "number", text: token.text, offset });
    if (token.kind === "quoted") return this.#advance({ kind: "column", name: token.text, quoted: true, offset });
    if (this.#takeSymbol("(")) {
      const inner = this.#deeper(() => this.#or());
      this.#expectSymbol(")");
      return inner;
    }
    if (this.#takeSymbol("-") || this.#takeSymbol("+")) {
      const number = this.#token;
      if (number.kind !== "number") throw this.#unexpected(`a number after "${token.text}"`);
      return this.#advance({ kind: "number", text: (token.text === "-" ? "-" : "") + number.text, offset });
    }
    if (token.kind !== "word") throw this.#unexpected("a column or a value");
    return this.#word(token);
  }

  #word({ text, offset }: Token): Expression {
    const word = text.toLowerCase();
    if (word === "true" || word === "false") return this.#advance({ kind: "boolean", value: word === "true", offset });
    if (word === "null") return this.#advance({ kind: "null", offset });
    if (RESERVED.has(word)) throw this.#unexpected("a column or a value");
    const column = this.#advance({ kind: "column", name: text, quoted: false, offset } as const);
    if (this.#token.kind === "symbol" && this.#token.text === "(") {
      throw new WhereMistake(`functions are not available in a where: ${text}(…)`, offset);
    }
    return column;
  }

  get #token(): Token {
    return this.#tokens[this.#next]!;
  }

  #advance<E extends Expression>(expression: E): E {
    this.#next++;
    return expression;
  }

  #deeper(parse: () => Expression): Expression {
    if (++this.#depth > MAX_DEPTH) throw new WhereMistake(TOO_DEEP, this.#token.offset);
    const expression = parse();
    this.#depth--;
    return expression;
  }

  #string(expected: string): string {
    const token = this.#token;
    if (token.kind !== "string") throw this.#unexpected(expected);
    this.#next++;
    return token.text;
  }

  #isEnd(): boolean {
    return this.#token.kind === "end";
  }

  #isWord(word: string): boolean {
    return this.#token.kind === "word" && this.#token.text.toLowerCase() === word;
  }

  #takeWord(word: string): boolean {
    const is = this.#isWord(word);
    if (is) this.#next++;
    return is;
  }

  #expectWord(word: string): void {
    if (!this.#takeWord(word)) throw this.#unexpected(word.toUpperCase());
  }

  #takeSymbol(symbol: string): boolean {
    const is = this.#token.kind === "symbol" && this.#token.text === symbol;
    if (is) this.#next++;
    return is;
  }

  #expectSymbol(symbol: string): void {
    if (!this.#takeSymbol(symbol)) throw this.#unexpected(`"${symbol}"`);
  }

  #takeComparison(): ComparisonOperator | null {
    const operator = this.#token.kind === "symbol" ? (COMPARISONS.get(this.#token.text) ?? null) : null;
    if (operator !== null) this.#next++;
    return operator;
  }

  #unexpected(expected: string): WhereMistake {
    const { kind, text, offset } = this.#token;
    const found = kind === "end" ? "the condition ends here" : `found ${kind === "string" ? `'${text}'` : `"${text}"`}`;
    return new WhereMistake(`expected ${expected}, but ${found}`, offset);
  }
}

function negate(negated: boolean, operand: Expression): Expression {
  return negated ? { kind: "not", operand, offset: operand.offset } : operand;
}
