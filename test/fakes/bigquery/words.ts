// GoogleSQL's words that this server knows.

/** By DuckDB's name; null: the same. */
export const FUNCTIONS: Readonly<Record<string, string | null>> = {
  IF: "bq_if",
  TO_JSON_STRING: "bq_json",
  UNIX_MICROS: "epoch_us",
  TIMESTAMP_MICROS: "make_timestamptz",
  TO_HEX: "bq_hex",
  "SAFE.FROM_HEX": "unhex",
  STRING: "bq_string",
  ST_ASTEXT: "bq_same",
  JSON_VALUE: "json_extract_string",
  JSON_QUERY_ARRAY: "bq_json_array",
  SUBSTR: null,
  CONCAT: "bq_concat",
  MAX: null,
  MIN: null,
  SUM: null,
  COUNT: null,
  AVG: null,
  COALESCE: null,
  UPPER: null,
  LOWER: null,
  SAFE_CAST: "TRY_CAST",
  CAST: "CAST",
};

/** Words before `(` that are no functions. */
export const CLAUSES =
  /^(SELECT|FROM|JOIN|ON|WHERE|AND|OR|NOT|IN|AS|OVER|BY|USING|EXISTS|UNION|ALL|DISTINCT|WHEN|THEN|ELSE|CASE|HAVING|TABLE|WITH|BETWEEN|SELECT)$/i;

/** Words that end a table's name or its alias. */
export const KEYWORDS =
  /^(WHERE|JOIN|LEFT|RIGHT|INNER|CROSS|FULL|ON|ORDER|GROUP|HAVING|LIMIT|UNION|FOR|USING|WINDOW|QUALIFY)$/i;
