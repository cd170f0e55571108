// The types that a column has in the binary log (enum_field_types), and what is known of a column there.

export const TYPE = {
  decimal: 0,
  tiny: 1,
  short: 2,
  long: 3,
  float: 4,
  double: 5,
  null: 6,
  timestamp: 7,
  longlong: 8,
  int24: 9,
  date: 10,
  time: 11,
  datetime: 12,
  year: 13,
  newdate: 14,
  varchar: 15,
  bit: 16,
  timestamp2: 17,
  datetime2: 18,
  time2: 19,
  blobCompressed: 140,
  varcharCompressed: 141,
  vector: 242,
  json: 245,
  newdecimal: 246,
  enum: 247,
  set: 248,
  tinyblob: 249,
  mediumblob: 250,
  longblob: 251,
  blob: 252,
  varString: 253,
  string: 254,
  geometry: 255,
} as const;

/** A column as a TABLE_MAP event has it. */
export interface WireColumn {
  /** ENUM and SET are told apart from other strings. */
  readonly type: number;
  /** Precision, scale, length, digits, bytes of a length: by type. */
  readonly meta: number;
  readonly nullable: boolean;
  /** What the optional metadata says; null: nothing. */
  readonly unsigned: boolean | null;
  readonly collation: number | null;
  readonly name: string | null;
  /** Of an ENUM or SET, in the column's character set. */
  readonly members: readonly Buffer[] | null;
}
