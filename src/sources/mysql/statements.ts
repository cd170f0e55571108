// What a statement in the log means for the tables that are read. In row format only DDL comes as a statement, and what
// begins and ends transactions; a session can write its changes as statements all the same.

export interface TableEffect {
  /**
   * - `emptied`: its rows are gone without an event of their own (truncated, dropped, renamed away, partitions dropped).
   * - `replaced`: rows came, or changed, without an event of their own (another table renamed to its name, a partition exchanged).
   * - `written`: by a statement.
   */
  readonly kind: "emptied" | "replaced" | "written";
  /** null: every table of the database. */
  readonly table: string | null;
  readonly database: string;
}

export type StatementKind = "begin" | "commit" | "rollback" | "xa-start" | "xa-end" | "within" | "other";

export interface Statement {
  readonly kind: StatementKind;
  readonly effects: readonly TableEffect[];
}

/** `CREATE TABLE … SELECT` of MySQL: its rows follow in the same transaction. */
export function opensTransaction(sql: string): boolean {
  return /\bSTART TRANSACTION\s*$/.test(sql);
}

const NO_EFFECTS: readonly TableEffect[] = [];
const SIMPLE: Readonly<Record<string, Statement>> = {
  BEGIN: { kind: "begin", effects: NO_EFFECTS },
  COMMIT: { kind: "commit", effects: NO_EFFECTS },
  ROLLBACK: { kind: "rollback", effects: NO_EFFECTS },
};

/** `database`: the session's. */
export function readStatement(sql: string, database: string): Statement {
  const simple = SIMPLE[sql];
  if (simple !== undefined) return simple;
  const tokens = tokensOf(sql);
  const first = keyword(tokens[0]);
  switch (first) {
    case "BEGIN":
    case "COMMIT":
      return SIMPLE[first]!;
    case "ROLLBACK":
      return tokens.some((token) => keyword(token) === "TO") ? WITHIN : SIMPLE["ROLLBACK"]!;
    case "SAVEPOINT":
    case "RELEASE":
      return WITHIN;
    case "XA": {
      const second = keyword(tokens[1]);
      if (second === "START" || second === "BEGIN") return { kind: "xa-start", effects: NO_EFFECTS };
      return { kind: second === "END" ? "within" : "xa-end", effects: NO_EFFECTS };
    }
    default:
      return { kind: "other", effects: effectsOf(first, tokens, database) };
  }
}

const WITHIN: Statement = { kind: "within", effects: NO_EFFECTS };
const WRITES = new Set(["INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "WITH", "CALL"]);

function effectsOf(first: string, tokens: readonly Token[], database: string): readonly TableEffect[] {
  const reader = new Names(tokens, database);
  switch (first) {
    case "TRUNCATE":
      reader.skip("TABLE");
      return reader.list().map((name): TableEffect => ({ kind: "emptied", ...name }));
    case "DROP":
      reader.skip("TEMPORARY");
      if (reader.skip("DATABASE") || reader.skip("SCHEMA")) {
        reader.skip("IF");
        reader.skip("EXISTS");
        return reader.list().map(({ table }): TableEffect => ({ kind: "emptied", database: table, table: null }));
      }
      if (keyword(tokens[1]) === "TEMPORARY" || !(reader.skip("TABLE") || reader.skip("TABLES"))) return NO_EFFECTS;
      reader.skip("IF");
      reader.skip("EXISTS");
      return reader.list().map((name): TableEffect => ({ kind: "emptied", ...name }));
    case "CREATE":
      // CREATE OR REPLACE TABLE drops what was there.
      if (!(reader.skip("OR") && reader.skip("REPLACE") && reader.skip("TABLE"))) return NO_EFFECTS;
      return reader.list(1).map((name): TableEffect => ({ kind: "emptied", ...name }));
    case "RENAME":
      return reader.skip("TABLE") || reader.skip("TABLES") ? renames(reader) : NO_EFFECTS;
    case "ALTER":
      return alters(reader, tokens);
    default:
      // Which tables it writes is not worked out: it counts for every name that it mentions.
      return WRITES.has(first)
        ? reader.mentioned().map((name): TableEffect => ({ kind: "written", ...name }))
        : NO_EFFECTS;
  }
}

/** Everything in a query that could be the name of a table. `database`: of those without one. */
export function namesIn(
  sql: string,
  database: string,
): readonly { readonly database: string; readonly table: string }[] {
  return new Names(tokensOf(sql), database).mentioned();
}

const REDEFINES = new Set(["CREATE", "ALTER", "DROP", "RENAME", "TRUNCATE", ...WRITES]);

/** Names in a statement that may be of tables or views that it alters, or writes to. */
export function redefinedIn(sql: string, database: string): ReturnType<typeof namesIn> {
  const tokens = tokensOf(sql);
  return REDEFINES.has(keyword(tokens[0])) ? new Names(tokens, database).mentioned() : [];
}

function renames(reader: Names): readonly TableEffect[] {
  const effects: TableEffect[] = [];
  for (;;) {
    reader.skip("IF");
    reader.skip("EXISTS");
    const from = reader.name();
    if (from === null) return effects;
    while (keyword(reader.peek()) !== "TO" && reader.peek() !== undefined) reader.next();
    reader.skip("TO");
    const to = reader.name();
    effects.push({ kind: "emptied", ...from });
    if (to !== null) effects.push({ kind: "replaced", ...to });
    if (!reader.skipSymbol(",")) return effects;
  }
}

function alters(reader: Names, tokens: readonly Token[]): readonly TableEffect[] {
  reader.skip("ONLINE");
  reader.skip("IGNORE");
  if (!reader.skip("TABLE")) return NO_EFFECTS;
  reader.skip("IF");
  reader.skip("EXISTS");
  const name = reader.name();
  if (name === null) return NO_EFFECTS;
  const effects: TableEffect[] = [];
  const words = tokens.map((token) => keyword(token));
  words.forEach((word, i) => {
    const next = words[i + 1];
    if (word === "RENAME" && !["COLUMN", "INDEX", "KEY", "CONSTRAINT"].includes(next ?? "")) {
      const renamed = new Names(tokens.slice(i), name.database);
      if (!(renamed.skip("TO") || renamed.skip("AS"))) renamed.skipSymbol("=");
      const to = renamed.name();
      effects.push({ kind: "emptied", ...name });
      if (to !== null) effects.push({ kind: "replaced", ...to });
    }
    if (next === "PARTITION" && (word === "TRUNCATE" || word === "DROP")) effects.push({ kind: "emptied", ...name });
    if (next === "PARTITION" && (word === "EXCHANGE" || word === "CONVERT")) {
      for (const each of new Names(tokens, name.database).mentioned()) effects.push({ kind: "replaced", ...each });
    }
    if (next === "TABLESPACE" && (word === "IMPORT" || word === "DISCARD")) effects.push({ kind: "replaced", ...name });
  });
  return effects;
}

interface Token {
  readonly text: string;
  readonly kind: "word" | "quoted" | "symbol";
}

/** A word that is not quoted, in capitals; else "". */
function keyword(token: Token | undefined): string {
  return token?.kind === "word" ? token.text.toUpperCase() : "";
}

interface TableName {
  readonly database: string;
  readonly table: string;
}

class Names {
  readonly #tokens: readonly Token[];
  readonly #database: string;
  #at = 1;

  constructor(tokens: readonly Token[], database: string) {
    this.#tokens = tokens;
    this.#database = database;
  }

  peek(): Token | undefined {
    return this.#tokens[this.#at];
  }

  next(): void {
    this.#at += 1;
  }

  skip(word: string): boolean {
    if (keyword(this.peek()) !== word) return false;
    this.#at += 1;
    return true;
  }

  skipSymbol(symbol: string): boolean {
    const token = this.peek();
    if (token?.kind !== "symbol" || token.text !== symbol) return false;
    this.#at += 1;
    return true;
  }

  name(): TableName | null {
    const token = this.peek();
    if (token === undefined || token.kind === "symbol") return null;
    this.#at += 1;
    const dotted = this.#tokens[this.#at + 1];
    if (this.peek()?.text !== "." || dotted === undefined) return { database: this.#database, table: token.text };
    this.#at += 2;
    return { database: token.text, table: dotted.text };
  }

  list(most = Infinity): readonly TableName[] {
    const names: TableName[] = [];
    while (names.length < most) {
      const name = this.name();
      if (name === null) break;
      names.push(name);
      if (!this.skipSymbol(",")) break;
    }
    return names;
  }

  /** Everything that could be a table's name. */
  mentioned(): readonly TableName[] {
    return this.#tokens.flatMap((token, i) => {
      if (token.kind === "symbol") return [];
      const before = this.#tokens[i - 2];
      const qualified = this.#tokens[i - 1]?.text === "." && before !== undefined;
      return [{ database: qualified ? before.text : this.#database, table: token.text }];
    });
  }
}

// Comments, strings, quoted names, words, symbols. What stands in /*! … */ is part of the statement.
const TOKEN =
  /\/\*M?!\d*|\*\/|\/\*[^]*?\*\/|--[ \t][^\n]*|#[^\n]*|'(?:[^'\\]|\\[^]|'')*'|`((?:[^`]|``)*)`|"((?:[^"\\]|\\[^]|"")*)"|([\p{L}\p{N}_$@]+)|([^\s])/gu;

function tokensOf(sql: string): readonly Token[] {
  const tokens: Token[] = [];
  for (const [, backticks, doubles, word, symbol] of sql.matchAll(TOKEN)) {
    if (backticks !== undefined) tokens.push({ text: backticks.replaceAll("``", "`"), kind: "quoted" });
    else if (doubles !== undefined) tokens.push({ text: doubles.replaceAll('""', '"'), kind: "quoted" });
    else if (word !== undefined) tokens.push({ text: word, kind: "word" });
    else if (symbol !== undefined) tokens.push({ text: symbol, kind: "symbol" });
  }
  return tokens;
}
