import { expect, test } from "vitest";
import { isSqlFile, oneStatement } from "./sql-text.ts";

test.each([
  ["models/users.sql", true],
  ["users.sql", true],
  ["SELECT * FROM db.sql", false],
  ["SELECT\n1", false],
  ["models/users", false],
])("%s is a file: %s", (text, expected) => {
  expect(isSqlFile(text)).toBe(expected);
});

test.each([
  ["SELECT 1", "SELECT 1"],
  ["  SELECT 1 ;\n", "SELECT 1"],
  ["SELECT 1; -- done; really\n", "SELECT 1"],
  ["-- what it is; of whom\nSELECT 1 -- and why\n", "SELECT 1"],
  ["/* a; /* b; */ c; */ select ';', \"a;b\", $q$;'$q$, E'\\';' ;;", "select ';', \"a;b\", $q$;'$q$, E'\\';'"],
  // A backslash escapes in MySQL; in PostgreSQL the first text ends before it.
  ["SELECT 'it\\'s; so'", "SELECT 'it\\'s; so'"],
  ["SELECT '\\'; -- it's; so", "SELECT '\\'"],
  ["SELECT `a;b` # no; more", "SELECT `a;b`"],
  ["SELECT a #> '{b}' FROM t", "SELECT a #> '{b}' FROM t"],
  ["(SELECT 1) UNION (SELECT 2)", "(SELECT 1) UNION (SELECT 2)"],
  ["with a as (select 1) table a", "with a as (select 1) table a"],
  // Not closed: for the source's parser to say.
  ["SELECT 'a", "SELECT 'a"],
  ["SELECT /* a", "SELECT"],
])("%j holds %j", (text, sql) => {
  expect(oneStatement(text)).toEqual({ ok: true, sql });
});

test.each([
  ["", "is empty", ""],
  [" \n", "is empty", ""],
  ["-- later\n;", "holds no query", ""],
  ["SELECT 1; SELECT 2", "holds 2 statements", "SELECT"],
  ["SELECT 1;\n/* and */ DELETE FROM t; x", "holds 3 statements", "DELETE"],
  ["UPDATE t SET a = 1", "is no query, but UPDATE", "UPDATE"],
  ["models/users", "is no query, but models", "models/users"],
  ["selective", "is no query, but selective", "selective"],
])("%j: %s", (text, message, marked) => {
  const result = oneStatement(text);
  if (result.ok) throw new Error("taken");
  expect(result.begins === null ? result.message : `${result.message}, but ${result.begins}`).toBe(message);
  expect(text.slice(result.start, result.end)).toBe(marked);
});
