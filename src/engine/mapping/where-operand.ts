import { TailraceError } from "../../contracts/errors.ts";
import type { Column } from "../../contracts/relation.ts";
import { UNCHANGED, type Value, type Values } from "../../contracts/values.ts";
import { parseDecimal, type Decimal } from "./decimal.ts";
import { toJsonBoolean } from "./json-text.ts";
import { ANY, FALSE, NULL, TRUE, type Truth } from "./truth.ts";
import { WhereMistake } from "./where-tokens.ts";

/** A condition compiled: what it may be for this row. */
export type Condition = (row: Values) => Truth;
/** A value compiled; UNCHANGED when it was not sent. */
export type Read<T> = (row: Values) => T | null | typeof UNCHANGED;

/** Something that can be compared. `literal`: a string in quotes, which takes the type of what it is compared with. */
export type Operand = { readonly shown: string; readonly offset: number } & (
  | { readonly kind: "text"; readonly read: Read<string> }
  | { readonly kind: "number"; readonly read: Read<Decimal> }
  | { readonly kind: "boolean"; readonly condition: Condition }
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "null" }
);

export const always =
  (truth: Truth): Condition =>
  () =>
    truth;

export function columnOperand(column: Column, place: number, offset: number): Operand {
  const shown = `column "${column.name}"`;
  if (column.comparison === "boolean")
    return { kind: "boolean", condition: booleanColumn(column, place), shown, offset };
  if (column.comparison === "number") return { kind: "number", read: numberColumn(column, place), shown, offset };
  return { kind: "text", read: (row) => row[place] as Value, shown, offset };
}

function booleanColumn(column: Column, place: number): Condition {
  return (row) => {
    const value = row[place] as Value;
    if (value === "true") return TRUE;
    if (value === "false") return FALSE;
    if (value === null) return NULL;
    if (value === UNCHANGED) return ANY;
    const boolean = toJsonBoolean(value);
    if (boolean === null) throw notA("boolean", column);
    return boolean === "true" ? TRUE : FALSE;
  };
}

function numberColumn(column: Column, place: number): Read<Decimal> {
  return (row) => {
    const value = row[place] as Value;
    if (value === null || value === UNCHANGED) return value;
    const decimal = parseDecimal(value);
    if (decimal === null) throw notA("number", column);
    return decimal;
  };
}

/** The source said how its texts compare; a row that it is not true of must not be let through, nor dropped. */
function notA(type: string, column: Column): TailraceError {
  return new TailraceError(
    "internal.defect",
    `where: the source sent a text that is not a ${type} as column "${column.name}"`,
  );
}

export function numberOperand(text: string, offset: number): Operand {
  const decimal = parseDecimal(text);
  if (decimal === null) throw new WhereMistake(`${text} is not a number`, offset);
  return { kind: "number", read: () => decimal, shown: text, offset };
}

/** A string in quotes as a value of the type that it meets. Throws {@link WhereMistake} when it is none. */
export function literalAs(
  kind: "text" | "number" | "boolean",
  literal: Operand & { readonly kind: "literal" },
  other: Operand,
): Operand {
  const { text, shown, offset } = literal;
  if (kind === "text") return { kind, read: () => text, shown, offset };
  const trimmed = text.trim();
  if (kind === "number") {
    const decimal = parseDecimal(trimmed);
    if (decimal === null) throw new WhereMistake(`${other.shown} is a number, and ${shown} is not`, offset);
    return { kind, read: () => decimal, shown, offset };
  }
  const boolean = toJsonBoolean(trimmed);
  if (boolean === null) throw new WhereMistake(`${other.shown} is true or false, and ${shown} is neither`, offset);
  return { kind, condition: always(boolean === "true" ? TRUE : FALSE), shown, offset };
}
