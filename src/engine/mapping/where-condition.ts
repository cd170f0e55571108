import type { Column } from "../../contracts/relation.ts";
import { UNCHANGED, type Values } from "../../contracts/values.ts";
import { compareDecimals } from "./decimal.ts";
import { compileLike } from "./like.ts";
import { compareTexts } from "./text-order.ts";
import { and, ANY, comparing, distinct, FALSE, is, not, NULL, or, TRUE, type Truth } from "./truth.ts";
import {
  always,
  columnOperand,
  literalAs,
  numberOperand,
  type Condition,
  type Operand,
  type Read,
} from "./where-operand.ts";
import type { ComparisonOperator, Expression, Logic } from "./where-parse.ts";
import { WhereMistake } from "./where-tokens.ts";

/** A name in the condition that is no column. */
export class MissingColumn extends WhereMistake {
  readonly column: string;
  constructor(column: string, offset: number) {
    super(`no column "${column}"`, offset);
    this.column = column;
  }
}

/** Throws {@link WhereMistake}. */
export function conditionOf(
  expression: Expression,
  columns: readonly Column[],
): { readonly condition: Condition; readonly reads: readonly number[] } {
  const builder = new Builder(columns);
  return { condition: builder.condition(expression), reads: [...builder.reads] };
}

const TESTS: Readonly<Record<ComparisonOperator, (order: number) => boolean>> = {
  "=": (order) => order === 0,
  "<>": (order) => order !== 0,
  "<": (order) => order < 0,
  "<=": (order) => order <= 0,
  ">": (order) => order > 0,
  ">=": (order) => order >= 0,
};

class Builder {
  readonly reads = new Set<number>();
  readonly #columns: readonly Column[];

  constructor(columns: readonly Column[]) {
    this.#columns = columns;
  }

  condition(expression: Expression): Condition {
    const operand = this.#operand(expression);
    if (operand.kind === "boolean") return operand.condition;
    if (operand.kind === "null") return always(NULL);
    throw new WhereMistake(`${operand.shown} is not a condition; compare it with something`, operand.offset);
  }

  #operand(expression: Expression): Operand {
    const { kind, offset } = expression;
    if (kind === "column") return this.#column(expression.name, expression.quoted, offset);
    if (kind === "string") return { kind: "literal", text: expression.text, shown: `'${expression.text}'`, offset };
    if (kind === "number") return numberOperand(expression.text, offset);
    if (kind === "null") return { kind: "null", shown: "NULL", offset };
    if (kind === "boolean") {
      return {
        kind,
        condition: always(expression.value ? TRUE : FALSE),
        shown: String(expression.value).toUpperCase(),
        offset,
      };
    }
    return { kind: "boolean", condition: this.#logic(expression), shown: "the condition", offset };
  }

  #logic(expression: Logic): Condition {
    switch (expression.kind) {
      case "and":
        return every(expression.operands.map((operand) => this.condition(operand)));
      case "or":
        return some(expression.operands.map((operand) => this.condition(operand)));
      case "not": {
        const operand = this.condition(expression.operand);
        return (row) => not(operand(row));
      }
      case "compare":
        return compare(expression.operator, this.#operand(expression.left), this.#operand(expression.right));
      case "distinct":
        return distinction(this.#operand(expression.left), this.#operand(expression.right));
      case "is":
        return expression.what === "null"
          ? isNull(this.#operand(expression.operand))
          : isTruth(expression.what, this.#operand(expression.operand));
      case "in":
        return membership(
          this.#operand(expression.operand),
          expression.list.map((item) => this.#operand(item)),
        );
      case "between": {
        const operand = this.#operand(expression.operand);
        const low = compare(">=", operand, this.#operand(expression.low));
        return every([low, compare("<=", operand, this.#operand(expression.high))]);
      }
      case "like":
        return like(expression, this.#operand(expression.operand));
    }
  }

  /** As written, else, when it is not in quotes, without regard to case. */
  #column(name: string, quoted: boolean, offset: number): Operand {
    let place = this.#columns.findIndex((column) => column.name === (quoted ? name : name.toLowerCase()));
    if (place < 0 && !quoted) {
      const same = this.#columns.flatMap((column, index) =>
        column.name.toLowerCase() === name.toLowerCase() ? [index] : [],
      );
      if (same.length > 1) {
        throw new WhereMistake(
          `${name} may be any of several columns; write the one you mean in double quotes`,
          offset,
        );
      }
      place = same[0] ?? -1;
    }
    if (place < 0) throw new MissingColumn(name, offset);
    this.reads.add(place);
    return columnOperand(this.#columns[place]!, place, offset);
  }
}

/** Gives a string in quotes the type of what it meets, and refuses what PostgreSQL would refuse. */
function unified(left: Operand, right: Operand): readonly [Operand, Operand] {
  if (left.kind === "null" || right.kind === "null") return [left, right];
  if (left.kind === "literal") {
    const kind = right.kind === "literal" ? "text" : right.kind;
    const typed = literalAs(kind, left, right);
    return [typed, right.kind === "literal" ? literalAs(kind, right, left) : right];
  }
  if (right.kind === "literal") return [left, literalAs(left.kind, right, left)];
  if (left.kind !== right.kind) {
    throw new WhereMistake(
      `${left.shown} is ${TYPE_NAMES[left.kind]} and ${right.shown} is ${TYPE_NAMES[right.kind]}; they cannot be compared`,
      right.offset,
    );
  }
  return [left, right];
}

const TYPE_NAMES = { text: "a text", number: "a number", boolean: "true or false" } as const;

function compare(operator: ComparisonOperator, first: Operand, second: Operand): Condition {
  const [left, right] = unified(first, second);
  const test = TESTS[operator];
  if (left.kind === "boolean" && right.kind === "boolean") {
    const compared = comparing(test);
    const [a, b] = [left.condition, right.condition];
    return (row) => compared(a(row), b(row));
  }
  if (left.kind === "number" && right.kind === "number") return ordered(left.read, right.read, compareDecimals, test);
  if (left.kind === "text" && right.kind === "text") {
    if (operator === "=") return ordered(left.read, right.read, sameText, test);
    return ordered(left.read, right.read, compareTexts, test);
  }
  // One is NULL: so is the comparison.
  return always(NULL);
}

function sameText(a: string, b: string): number {
  return a === b ? 0 : 1;
}

function ordered<T>(
  left: Read<T>,
  right: Read<T>,
  order: (a: T, b: T) => number,
  test: (order: number) => boolean,
): Condition {
  return (row) => {
    const a = left(row);
    const b = right(row);
    if (a === null || b === null) return NULL;
    if (a === UNCHANGED || b === UNCHANGED) return ANY;
    return test(order(a, b)) ? TRUE : FALSE;
  };
}

function distinction(first: Operand, second: Operand): Condition {
  const [left, right] = unified(first, second);
  if (left.kind === "null") return inverted(isNull(right));
  if (right.kind === "null") return inverted(isNull(left));
  if (left.kind === "boolean" && right.kind === "boolean") {
    const [a, b] = [left.condition, right.condition];
    return (row) => distinct(a(row), b(row));
  }
  if (left.kind === "number" && right.kind === "number") return differing(left.read, right.read, compareDecimals);
  return differing((left as TextOperand).read, (right as TextOperand).read, sameText);
}

type TextOperand = Operand & { readonly kind: "text" };

function differing<T>(left: Read<T>, right: Read<T>, order: (a: T, b: T) => number): Condition {
  return (row) => {
    const a = left(row);
    const b = right(row);
    if (a === UNCHANGED || b === UNCHANGED) return TRUE | FALSE;
    if (a === null || b === null) return a === b ? FALSE : TRUE;
    return order(a, b) === 0 ? FALSE : TRUE;
  };
}

function inverted(condition: Condition): Condition {
  return (row) => not(condition(row));
}

function isNull(operand: Operand): Condition {
  if (operand.kind === "null") return always(TRUE);
  if (operand.kind === "literal") return always(FALSE);
  if (operand.kind === "boolean") return (row) => is(NULL, operand.condition(row));
  const read: (row: Values) => unknown = operand.read;
  return (row) => {
    const value = read(row);
    return value === UNCHANGED ? TRUE | FALSE : value === null ? TRUE : FALSE;
  };
}

function isTruth(what: "true" | "false", operand: Operand): Condition {
  const wanted = what === "true" ? TRUE : FALSE;
  if (operand.kind === "null") return always(FALSE);
  if (operand.kind === "boolean") return (row) => is(wanted, operand.condition(row));
  throw new WhereMistake(`${operand.shown} is neither true nor false`, operand.offset);
}

function membership(operand: Operand, list: readonly Operand[]): Condition {
  // The usual case, however long the list: a text among texts.
  if (operand.kind === "text" && list.every((item) => item.kind === "literal")) {
    const texts = new Set(list.map((item) => item.text));
    const { read } = operand;
    return (row) => {
      const value = read(row);
      return value === null ? NULL : value === UNCHANGED ? ANY : texts.has(value) ? TRUE : FALSE;
    };
  }
  return some(list.map((item) => compare("=", operand, item)));
}

function every(conditions: readonly Condition[]): Condition {
  return (row) => {
    let truth: Truth = TRUE;
    for (const condition of conditions) {
      truth = and(truth, condition(row));
      if (truth === FALSE) break;
    }
    return truth;
  };
}

function some(conditions: readonly Condition[]): Condition {
  return (row) => {
    let truth: Truth = FALSE;
    for (const condition of conditions) {
      truth = or(truth, condition(row));
      if (truth === TRUE) break;
    }
    return truth;
  };
}

function like(expression: Logic & { readonly kind: "like" }, operand: Operand): Condition {
  const { pattern, escape, ignoreCase } = expression;
  const matches = compileLike(pattern, escape, ignoreCase);
  if (matches === null) throw new WhereMistake("the pattern must not end with the escape character", expression.offset);
  if (operand.kind === "null") return always(NULL);
  if (operand.kind === "literal") return always(matches(operand.text) ? TRUE : FALSE);
  if (operand.kind !== "text") {
    const word = ignoreCase ? "ILIKE" : "LIKE";
    throw new WhereMistake(`${word} needs a text, and ${operand.shown} is ${TYPE_NAMES[operand.kind]}`, operand.offset);
  }
  const { read } = operand;
  return (row) => {
    const value = read(row);
    return value === null ? NULL : value === UNCHANGED ? ANY : matches(value) ? TRUE : FALSE;
  };
}
