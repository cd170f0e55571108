// Comparing with a key, in the types and by the operators that it has.

export interface KeyOperators {
  /** As SQL: they need not be in `pg_catalog`. */
  readonly equal: string;
  readonly atLeast: string;
  readonly greater: string;
}

export interface KeyColumn {
  readonly sql: string;
  /** What a parameter is cast to. */
  readonly sqlType: string;
  /** Its place in the model's key. */
  readonly keyPlace: number;
  readonly operators: KeyOperators;
}

// Row comparison goes straight to the index, but has one operator for all columns. Where a column's type brings its own
// (citext), the comparison is spelled out, with a bound on the first column for the index.
/** Whether a row's key is greater than `$1`, `$2` …, one a column. */
export function afterSql(key: readonly KeyColumn[]): string {
  const values = key.map(({ sqlType }, i) => `$${i + 1}::${sqlType}`);
  if (key.every(({ operators }) => operators.greater === "OPERATOR(pg_catalog.>)")) {
    return `(${key.map(({ sql }) => sql).join(", ")}) OPERATOR(pg_catalog.>) (${values.join(", ")})`;
  }
  const [first] = key;
  const later = key.map(({ sql, operators }, i) => {
    const equal = key.slice(0, i).map((before, j) => `${before.sql} ${before.operators.equal} ${values[j]}`);
    return `(${[...equal, `${sql} ${operators.greater} ${values[i]}`].join(" AND ")})`;
  });
  return `${first!.sql} ${first!.operators.atLeast} ${values[0]} AND (${later.join(" OR ")})`;
}
