/**
 * The one value that is neither a text nor SQL NULL: the source did not send this column because it did not
 * change (PostgreSQL's unchanged TOAST, MySQL's MINIMAL row image). It is never written as null.
 */
export const UNCHANGED: unique symbol = Symbol("unchanged");

/** A column's value: text exactly as the source prints it, SQL NULL, or "did not change". */
export type Value = string | null | typeof UNCHANGED;

/** A row: one value a column, by the column's place in {@link Relation.columns}. */
export type Values = readonly Value[];

/** `top`, with `bottom` wherever `top` does not say. */
export function overlay(top: Values, bottom: Values): Values;
export function overlay(top: Values | null, bottom: Values | null): Values | null;
export function overlay(top: Values | null, bottom: Values | null): Values | null {
  if (top === null || bottom === null || !top.includes(UNCHANGED)) return top ?? bottom;
  return top.map((value, place) => (value === UNCHANGED ? (bottom[place] ?? null) : value));
}
