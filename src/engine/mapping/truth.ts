/**
 * What a condition may turn out to be, as a set: a row that was sent whole gives exactly one of TRUE, FALSE and NULL (SQL's
 * unknown); a column that was not sent may hold anything, so its comparisons may be each of the three.
 */
export type Truth = number;
export const TRUE = 1;
export const FALSE = 2;
export const NULL = 4;
export const ANY = TRUE | FALSE | NULL;

type Sql = boolean | null;
const MEMBERS: readonly (readonly [Truth, Sql])[] = [
  [TRUE, true],
  [FALSE, false],
  [NULL, null],
];

function setOf(value: Sql): Truth {
  return value === null ? NULL : value ? TRUE : FALSE;
}

/** A function of three-valued logic, made one of sets: a table by `left * 8 + right`. */
function table(of: (left: Sql, right: Sql) => Sql): Uint8Array {
  const result = new Uint8Array(64);
  for (let left = 0; left < 8; left++) {
    for (let right = 0; right < 8; right++) {
      for (const [leftBit, leftValue] of MEMBERS) {
        for (const [rightBit, rightValue] of MEMBERS) {
          if (left & leftBit && right & rightBit) result[left * 8 + right]! |= setOf(of(leftValue, rightValue));
        }
      }
    }
  }
  return result;
}

const AND = table((a, b) => (a === false || b === false ? false : a === null || b === null ? null : true));
const OR = table((a, b) => (a === true || b === true ? true : a === null || b === null ? null : false));

export function and(left: Truth, right: Truth): Truth {
  return AND[left * 8 + right]!;
}

export function or(left: Truth, right: Truth): Truth {
  return OR[left * 8 + right]!;
}

export function not(operand: Truth): Truth {
  return ((operand & TRUE) << 1) | ((operand & FALSE) >> 1) | (operand & NULL);
}

/** Booleans compared as values, false before true; `test` sees the order as a number. */
export function comparing(test: (order: number) => boolean): (left: Truth, right: Truth) => Truth {
  const compared = table((a, b) => (a === null || b === null ? null : test(Number(a) - Number(b))));
  return (left, right) => compared[left * 8 + right]!;
}

const DISTINCT = table((a, b) => a !== b);
export function distinct(left: Truth, right: Truth): Truth {
  return DISTINCT[left * 8 + right]!;
}

/** Whether the operand is this one of the three. */
export function is(what: Truth, operand: Truth): Truth {
  return (operand & what ? TRUE : 0) | (operand & ~what ? FALSE : 0);
}
