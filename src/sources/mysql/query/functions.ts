// What is known of the functions of MySQL and MariaDB. What is not here may do anything.
import type { FunctionInfo } from "../../../kit/live-query/catalog.ts";

/** As time passes, another result. */
export const CLOCKS: ReadonlySet<string> = new Set([
  "now", "current_timestamp", "localtime", "localtimestamp", "sysdate", "curdate", "current_date", "curtime", "current_time",
  "utc_date", "utc_time", "utc_timestamp",
]); // prettier-ignore

/** Clocks when they are called without a value. */
export const CLOCKS_OF_NOTHING: ReadonlySet<string> = new Set(["unix_timestamp"]);

/** Another result each time, or one that depends on the session. */
export const VOLATILE: ReadonlySet<string> = new Set([
  "rand", "uuid", "uuid_short", "sys_guid", "random_bytes", "sleep", "benchmark", "get_lock", "release_lock", "is_free_lock", "is_used_lock",
  "last_insert_id", "row_count", "found_rows", "connection_id", "user", "current_user", "session_user", "system_user", "current_role",
  "database", "schema", "version", "load_file", "nextval", "lastval", "setval", "master_pos_wait", "last_value_of",
]); // prettier-ignore

const AGGREGATES = [
  "count", "sum", "avg", "min", "max", "group_concat", "bit_and", "bit_or", "bit_xor", "std", "stddev", "stddev_pop", "stddev_samp",
  "var_pop", "var_samp", "variance", "json_arrayagg", "json_objectagg", "any_value",
]; // prettier-ignore

const WINDOWS = [
  "row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "first_value", "last_value", "nth_value",
]; // prettier-ignore

const INTEGERS = [
  "year", "month", "day", "dayofmonth", "dayofweek", "dayofyear", "quarter", "week", "weekday", "weekofyear", "yearweek", "hour", "minute",
  "second", "char_length", "character_length", "length", "octet_length", "bit_length", "locate", "instr", "position", "sign", "datediff",
  "to_days", "period_diff", "ascii", "ord", "crc32", "json_length", "json_depth", "json_valid", "json_contains", "strcmp", "field",
  "find_in_set", "isnull",
]; // prettier-ignore

const DATES = ["date", "last_day", "from_days", "makedate"];

const OTHERS = [
  "abs", "ceil", "ceiling", "floor", "round", "truncate", "mod", "pow", "power", "sqrt", "exp", "ln", "log", "log2", "log10", "pi", "sin",
  "cos", "tan", "cot", "asin", "acos", "atan", "atan2", "radians", "degrees", "conv", "bin", "hex", "unhex", "oct", "nullif", "interval",
  "concat", "concat_ws", "lower", "lcase", "upper", "ucase", "left", "right", "substr", "substring", "substring_index", "mid", "trim",
  "ltrim", "rtrim", "lpad", "rpad", "repeat", "replace", "reverse", "space", "insert", "elt", "char", "format", "quote", "soundex",
  "regexp_replace", "regexp_substr", "regexp_instr", "regexp_like", "make_set", "export_set", "to_base64", "from_base64", "md5", "sha1",
  "sha", "sha2", "time", "timestamp", "date_format", "time_format", "str_to_date", "from_unixtime", "unix_timestamp", "monthname",
  "dayname", "sec_to_time", "time_to_sec", "maketime", "microsecond", "addtime", "subtime", "adddate", "subdate", "timediff", "to_seconds",
  "convert_tz", "date_add", "date_sub", "timestampdiff", "timestampadd", "json_extract", "json_unquote", "json_object", "json_array",
  "json_value", "json_query", "json_keys", "json_search", "json_type", "json_merge", "json_merge_patch", "json_merge_preserve",
  "json_contains_path", "json_set", "json_insert", "json_replace", "json_remove", "json_quote", "json_compact", "json_detailed",
  "json_exists", "json_overlaps", "inet_aton", "inet_ntoa", "inet6_aton", "inet6_ntoa", "uuid_to_bin", "bin_to_uuid", "bit_count",
]; // prettier-ignore

function info(kind: FunctionInfo["kind"], textClass: string | null): readonly FunctionInfo[] {
  return [{ kind, returnsSet: false, scalar: true, least: 0, most: null, textClass }];
}

/** By their names in small letters. */
export const FUNCTIONS: ReadonlyMap<string, readonly FunctionInfo[]> = new Map([
  ...AGGREGATES.map((name) => [name, info("aggregate", null)] as const),
  ...WINDOWS.map((name) => [name, info("window", null)] as const),
  ...INTEGERS.map((name) => [name, info("function", "int")] as const),
  ...DATES.map((name) => [name, info("function", "date")] as const),
  ...OTHERS.map((name) => [name, info("function", null)] as const),
]);

export function isAggregate(name: string): boolean {
  return FUNCTIONS.get(name)?.[0]?.kind === "aggregate";
}
