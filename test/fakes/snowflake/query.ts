// Queries as DuckDB runs them: every table, view and stream in them replaced by what it holds at the time that is meant.
import type { SchemaObject, StreamObject, TableObject, ViewObject } from "./catalogue.ts";
import { SnowflakeFault, syntaxError, unsupported } from "./errors.ts";
import { deltaSql, needFresh, needHistory, needTracking, stateSql, type Times, withRowColumn } from "./history.ts";
import { Reader, sqlOf, type Token, tokensOf } from "./tokens.ts";

export interface QueryScope extends Times {
  /** Of tables that the statement reads now. */
  readonly sequence: number;
  readonly pending: number | null;
  /** Where a stream ends: the beginning of the transaction, or of the statement. */
  readonly streamsUpTo: number;
  resolve(parts: readonly string[]): SchemaObject;
  mayRead(object: SchemaObject): void;
  /** Tables are read with their `__row`: it is the query of a view whose rows are told apart. */
  readonly rows: boolean;
  /** Names of WITH, which are no objects. */
  readonly defined: Set<string>;
  /** Streams that it reads. */
  readonly streams: Set<StreamObject>;
  tablesOf(view: ViewObject): TableObject[];
  /** A value of `SYSTEM$…` and of the session, as SQL. */
  call(name: string, args: readonly Token[]): Promise<string>;
}

/** Behind FROM, what a name may be. */
const SOURCES = new Set(["FROM", "JOIN"]);

export async function querySql(tokens: readonly Token[], scope: QueryScope): Promise<string> {
  const out: string[] = [];
  const reader = new Reader(tokens);
  for (const [at, { text, kind }] of tokens.entries())
    if (kind === "word" && tokens[at + 1]?.text === "AS" && tokens[at + 2]?.text === "(") scope.defined.add(text);
  while (!reader.done) {
    const token = reader.tokens[reader.at]!;
    const { kind, text } = token;
    if (SOURCES.has(text) && kind === "word") {
      out.push(reader.next());
      const next = reader.tokens[reader.at];
      const isName =
        next?.kind === "name" || (next?.kind === "word" && !["VALUES", "LATERAL", "TABLE"].includes(next.text));
      if (isName && !(next.kind === "word" && scope.defined.has(next.text))) out.push(await source(reader, scope));
    } else if (text === "::") {
      reader.next();
      out.push("::", castType(reader));
    } else if (kind === "word" && reader.peek(1) === "(" && text === "CAST") {
      reader.next();
      const inner = reader.parenthesised();
      const as = inner.findLastIndex((each) => each.text === "AS");
      const type = castType(new Reader(inner, as + 1));
      out.push(`CAST(${await querySql(inner.slice(0, as), scope)} AS ${type})`);
    } else if (kind === "word" && reader.peek(1) === "(" && CALLS.has(text)) {
      reader.next();
      out.push(await called(text, reader.parenthesised(), scope));
    } else if (kind === "word" && text.includes("$")) out.push(`"${reader.next()}"`);
    else if (kind === "word" && text === "CURRENT_TIMESTAMP") out.push(await scope.call(reader.next(), []));
    else out.push(reader.next());
  }
  return out.join(" ");
}

const CALLS = new Set([
  "OBJECT_CONSTRUCT",
  "TO_JSON",
  "DATE_PART",
  "CURRENT_TIMESTAMP",
  "CURRENT_ROLE",
  "CURRENT_ACCOUNT",
  "SYSTEM$STREAM_HAS_DATA",
  "SYSTEM$LAST_CHANGE_COMMIT_TIME",
]);

async function called(name: string, inner: readonly Token[], scope: QueryScope): Promise<string> {
  switch (name) {
    // https://docs.snowflake.com/en/sql-reference/functions/object_construct: a pair whose value is NULL is left out.
    case "OBJECT_CONSTRUCT":
      return inner.length === 0
        ? "'{}'"
        : `CAST(json_merge_patch('{}', json_object(${await querySql(inner, scope)})) AS VARCHAR)`;
    case "TO_JSON":
      return `SF_TO_JSON(${await querySql(inner, scope)})`;
    case "DATE_PART":
      return scope.call(name, inner);
    default:
      return scope.call(name, inner);
  }
}

function castType(reader: Reader): string {
  const name = reader.next();
  const parameters = reader.peek() === "(" ? `(${sqlOf(reader.parenthesised()).replaceAll(" ", "")})` : "";
  if (name === "NUMBER" || name === "DECIMAL") return `DECIMAL${parameters === "" ? "(38,0)" : parameters}`;
  if (name === "FLOAT" || name === "DOUBLE") return "DOUBLE";
  if (name === "BOOLEAN" || name === "DATE" || name === "INTEGER") return name;
  return "VARCHAR";
}

async function source(reader: Reader, scope: QueryScope): Promise<string> {
  const object = scope.resolve(reader.name());
  scope.mayRead(object);
  const changes = reader.take("CHANGES") ? changesOf(reader) : false;
  const at = reader.take("AT") ? timeOf(reader, scope) : null;
  const end = reader.take("END") ? timeOf(reader, scope) : null;
  const alias = aliasOf(reader, object);
  if (object.kind === "stream") {
    needFresh(object, scope.nowMs());
    scope.streams.add(object);
    return (await deltaSql(object.source, object.offset, Math.max(object.offset, scope.streamsUpTo), scope)) + alias;
  }
  const bases = object.kind === "view" ? scope.tablesOf(object) : [object];
  if (changes) {
    if (at === null) throw syntaxError("CHANGES");
    const upTo = Math.min(end?.sequence ?? scope.sequence, scope.sequence);
    for (const base of bases) {
      needHistory(base, at, scope.nowMs());
      needTracking(base, at.sequence);
    }
    if (object.kind === "view" && !object.tracked) throw unsupported("CHANGES on a view without change tracking");
    return (await deltaSql(object, Math.min(at.sequence, upTo), upTo, scope)) + alias;
  }
  // https://docs.snowflake.com/en/sql-reference/constructs/at-before: AT is inclusive.
  if (at !== null && !at.byStream) for (const base of bases) needHistory(base, at, scope.nowMs());
  const pending = at === null ? scope.pending : null;
  return (await stateSql(object, at?.sequence ?? scope.sequence, pending, scope.rows, scope)) + alias;
}

function changesOf(reader: Reader): boolean {
  const [first, arrow, information] = reader.parenthesised();
  if (first?.text !== "INFORMATION" || arrow?.text !== "=>") throw syntaxError(first?.text ?? ")");
  if (information?.text !== "DEFAULT") throw unsupported(`CHANGES of ${information?.text}`);
  return true;
}

/** https://docs.snowflake.com/en/sql-reference/constructs/changes: a constant, in milliseconds; END is inclusive. */
function timeOf(
  reader: Reader,
  scope: QueryScope,
): { readonly sequence: number; readonly ms: number; readonly byStream: boolean } {
  const inner = new Reader(reader.parenthesised());
  const kind = inner.next();
  inner.need("=>");
  if (kind !== "STREAM" && kind !== "TIMESTAMP") throw unsupported(`AT (${kind})`);
  const text = inner.text();
  if (kind === "STREAM") {
    const stream = scope.resolve(new Reader(tokensOf(text)).name());
    if (stream.kind !== "stream") throw syntaxError(text);
    needFresh(stream, scope.nowMs());
    return { sequence: stream.offset, ms: scope.store.msOf(stream.offset), byStream: true };
  }
  if (!inner.take("::") || !inner.peek().startsWith("TIMESTAMP"))
    throw new SnowflakeFault("002048", "22007", "SQL compilation error: a timestamp of AT has to be cast.");
  const [, day, time, zone] = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,3})?) ([+-]\d\d):?\d\d$/.exec(text) ?? [];
  if (day === undefined || zone !== "+00") throw syntaxError(text);
  const ms = Date.parse(`${day}T${time}Z`);
  if (ms > scope.nowMs())
    throw new SnowflakeFault("000707", "02000", "Time travel data is not available: the time is in the future.");
  return { sequence: scope.store.sequenceAt(ms), ms, byStream: false };
}

const CLAUSES = new Set(
  "ON WHERE JOIN INNER LEFT RIGHT FULL CROSS GROUP ORDER LIMIT UNION QUALIFY HAVING SET VALUES SELECT".split(" "),
);

/** Nothing where it has one of its own. */
function aliasOf(reader: Reader, object: SchemaObject): string {
  const next = reader.tokens[reader.at];
  const has = next !== undefined && (next.kind === "name" || (next.kind === "word" && !CLAUSES.has(next.text)));
  return has ? "" : ` AS "${object.name}"`;
}

export function viewQuery(view: ViewObject, scope: QueryScope): Promise<string> {
  return querySql(scope.rows ? withRowColumn(view.sql) : tokensOf(view.sql), scope);
}
