/**
 * How a column's text becomes JSON. The source decides, because only it knows what its texts look like.
 *
 * - `string`: a JSON string.
 * - `number`: the digits go to JSON as they stand; a text that JSON cannot hold as a number (`NaN`, `Infinity`)
 *   becomes a JSON string.
 * - `boolean`: the texts are `true` and `false`.
 * - `json`: the text is JSON already and goes out untouched.
 * - a function: for texts with a syntax of their own (arrays); returns JSON. Must not throw on any text that
 *   the source prints.
 */
export type JsonEncoding = "string" | "number" | "boolean" | "json" | ((text: string) => string);

/** How the texts of a column compare in a `where`: by code unit, by numeric value, or as true/false. */
export type Comparison = "text" | "number" | "boolean";

export interface Column {
  readonly name: string;
  /** The source's own name of the type, for people and for destinations that make tables: `timestamp with time zone`. */
  readonly type: string;
  readonly json: JsonEncoding;
  readonly comparison: Comparison;
  readonly nullable: boolean;
}

/** A model's rows as they look at one point of the changelog. A later DDL makes a new Relation with a new version. */
export interface Relation {
  /** The same across renames: a table's OID, a feed's object id. */
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  /** Grows with every DDL seen in this process; what is compiled for a relation is cached by (id, version). */
  readonly version: number;
  readonly columns: readonly Column[];
  /** Places of the primary key's columns, in key order. */
  readonly key: readonly number[];
  /**
   * What an update or a delete says about the old row. `key`: only the key columns, and on an update only when
   * the key changed; every other place of `before` is {@link UNCHANGED}. `full`: every column.
   */
  readonly oldRows: "key" | "full";
  /** Places of the columns that are what they were where an update comes without an old row. Absent: none is known to be. */
  readonly keptPlaces?: readonly number[];
}
