// What in a query's text rules out following it, whatever its tables are.
import type { Reason } from "../../../kit/live-query/reasons.ts";
import { functionKey } from "../../../kit/live-query/scope.ts";
import type { Screening } from "../../../kit/live-query/take-apart.ts";
import { type Node, type ParsedSelect, names, walk } from "../../../kit/live-query/tree.ts";
import type { PostgresCatalog, PostgresFunction } from "./catalog.ts";

const CLOCKS: ReadonlySet<string> = new Set([
  "now", "transaction_timestamp", "statement_timestamp", "clock_timestamp", "timeofday",
]); // prettier-ignore
const CLOCK_KEYWORDS: Readonly<Record<string, string>> = {
  SVFOP_CURRENT_DATE: "current_date", SVFOP_CURRENT_TIME: "current_time", SVFOP_CURRENT_TIME_N: "current_time",
  SVFOP_CURRENT_TIMESTAMP: "current_timestamp", SVFOP_CURRENT_TIMESTAMP_N: "current_timestamp", SVFOP_LOCALTIME: "localtime",
  SVFOP_LOCALTIME_N: "localtime", SVFOP_LOCALTIMESTAMP: "localtimestamp", SVFOP_LOCALTIMESTAMP_N: "localtimestamp",
}; // prettier-ignore
const CLOCK_LITERALS: ReadonlySet<string> = new Set(["now", "today", "tomorrow", "yesterday"]);
const NOW =
  "as time passes its result changes without a change of any row, so it is compared on a schedule: put what depends on the time into the destination, or a column";
const READS = "what it reads cannot be seen: write its query out, or declare it IMMUTABLE if it reads nothing";

/** Built-in functions that read what is in no table of the query. */
const READERS: ReadonlySet<string> = new Set([
  "currval", "lastval", "query_to_xml", "query_to_xmlschema", "query_to_xml_and_xmlschema", "table_to_xml",
  "table_to_xmlschema", "table_to_xml_and_xmlschema", "schema_to_xml", "schema_to_xml_and_xmlschema", "database_to_xml",
  "database_to_xml_and_xmlschema", "cursor_to_xml", "ts_stat", "ts_rewrite",
]); // prettier-ignore

/** `place`: what is said of where something is; of a view's definition, where the view is named. */
export async function screen(
  parsed: ParsedSelect,
  catalog: PostgresCatalog,
  place: ParsedSelect["place"],
): Promise<Screening> {
  const reasons: Reason[] = [];
  const calls: Record<string, unknown>[] = [];
  const collations: Record<string, unknown>[] = [];
  let timeDependent = false;
  const refuse = (construct: string, advice: string, location?: unknown) => {
    reasons.push({ construct, advice, place: place(typeof location === "number" ? location : undefined) });
  };
  const clock = (construct: string, location: unknown) => {
    timeDependent = true;
    refuse(construct, NOW, location);
  };
  walk({ SelectStmt: parsed.select }, (kind, node) => {
    switch (kind) {
      case "FuncCall":
        calls.push(node);
        break;
      case "CollateClause":
        collations.push(node);
        break;
      case "SQLValueFunction": {
        const keyword = CLOCK_KEYWORDS[String(node["op"])];
        if (keyword !== undefined) clock(keyword, node["location"]);
        break;
      }
      case "A_Const": {
        const text = (node["sval"] as { sval?: string } | undefined)?.sval;
        if (text !== undefined && isClock(text)) clock(`the literal '${text}'`, node["location"]);
        break;
      }
      case "LockingClause":
        refuse("FOR UPDATE or FOR SHARE", "a model only reads: leave it out");
        break;
      case "RangeTableSample":
        refuse("TABLESAMPLE", "its result is another each time: leave it out", node["location"]);
        break;
      case "GroupingSet":
        refuse(
          "GROUPING SETS, ROLLUP or CUBE",
          "one row adds to several groups: make each a model of its own",
          node["location"],
        );
        break;
      case "InsertStmt":
      case "UpdateStmt":
      case "DeleteStmt":
      case "MergeStmt":
        refuse("a statement that changes data", "a model only reads: leave it out");
        return false;
      default:
    }
    return true;
  });
  for (const { collname, location } of collations) {
    const parts = names(collname as Node[]);
    const name = parts.at(-1) ?? "";
    if (!(await catalog.deterministic(parts.length > 1 ? parts.at(-2)! : null, name))) {
      refuse(`COLLATE ${name}`, "it takes different texts for equal: give it to the column", location);
    }
  }
  const functions = new Map<string, readonly PostgresFunction[]>();
  for (const call of calls) {
    const funcname = call["funcname"] as Node[];
    const parts = names(funcname);
    const name = parts.at(-1) ?? "";
    const schema = parts.length > 1 ? parts.at(-2)! : null;
    const known = await catalog.functions(schema, name);
    functions.set(functionKey(funcname), known);
    const given = (call["args"] as unknown[] | undefined)?.length ?? 0;
    const fitting = known.filter(({ least, most }) => least <= given && (most === null || given <= most));
    const at = call["location"];
    const builtIn = fitting.some((one) => one.builtIn);
    if (builtIn && (CLOCKS.has(name) || (name === "age" && given === 1))) clock(`${name}()`, at);
    else if (builtIn && fitting.some(({ volatility }) => volatility === "stable") && readsTheSystem(name))
      refuse(`the function ${name}`, READS, at);
    else if (fitting.some(({ volatility }) => volatility === "volatile")) {
      refuse(`the volatile function ${name}`, "its result is another each time: leave it out", at);
    } else if (fitting.some((one) => !one.builtIn && one.volatility === "stable" && !COMPILED.has(one.language))) {
      refuse(`the function ${name}, which may read tables`, READS, at);
    }
  }
  return { reasons, timeDependent, functions };
}

/** A built-in function that is not immutable and tells of the system, or of what is in no table of the query. */
function readsTheSystem(name: string): boolean {
  return READERS.has(name) || name.startsWith("txid_") || (name.startsWith("pg_") && !ABOUT_A_VALUE.has(name));
}

const ABOUT_A_VALUE: ReadonlySet<string> = new Set(["pg_typeof", "pg_column_size"]);

const COMPILED: ReadonlySet<string> = new Set(["c", "internal"]);

// `today`, `today 12:00`: a date that is read anew each time.
function isClock(text: string): boolean {
  const words = text.trim().toLowerCase().split(" ");
  const others = words.filter((word) => !CLOCK_LITERALS.has(word));
  return others.length < words.length && others.every((word) => word === "" || (word[0]! >= "0" && word[0]! <= "9"));
}
