/**
 * The one value that is neither a text nor SQL NULL: the source did not send this column because it did not
 * change (PostgreSQL's unchanged TOAST, MySQL's MINIMAL row image). It is never written as null.
 */
export const UNCHANGED: unique symbol = Symbol("unchanged");

/** A column's value: text exactly as the source prints it, SQL NULL, or "did not change". */
export type Value = string | null | typeof UNCHANGED;

/** A row: one value a column, by the column's place in {@link Relation.columns}. */
export type Values = readonly Value[];
