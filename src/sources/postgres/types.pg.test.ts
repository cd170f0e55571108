import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { Column } from "../../contracts/relation.ts";
import type { SnapshotChunk } from "../../contracts/source.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import { type TestDatabase, testDatabase } from "../../../test/support/postgres.ts";
import { TYPE_CORPUS, corpusTable } from "../../../test/support/type-corpus.ts";
import { close, connect } from "./connection.ts";
import { LogMark } from "./log-mark.ts";
import { RelationVersions } from "../../kit/relation-versions.ts";
import { SnapshotReader } from "./snapshot.ts";
import { SqlSession } from "./sql-session.ts";
import { columnFor, loadTypes } from "./types.ts";
import { tableModel } from "../../../test/support/models.ts";

const SERVERS = [
  { server: "PostgreSQL 18", url: inject("postgresUrl") },
  { server: "PostgreSQL 15", url: inject("postgres15Url") },
];
const MODEL = tableModel("every type", { namespace: "Corpus" });
const TABLE = corpusTable();

describe.each(SERVERS)("$server", ({ url: serverUrl }) => {
  const missing = serverUrl === "";
  let database: TestDatabase;

  beforeAll(async () => {
    if (missing) return;
    database = await testDatabase(serverUrl);
    await database.sql(TABLE.create);
    for (const insert of TABLE.inserts) await database.sql(insert);
  });
  afterAll(async () => {
    if (!missing) await database[Symbol.asyncDispose]();
  });

  async function readAll(): Promise<SnapshotChunk> {
    const signal = AbortSignal.timeout(30_000);
    await using session = new SqlSession((inner) =>
      connect({ url: database.url }, { replication: false, signal: inner }),
    );
    const reader = new SnapshotReader(
      session,
      { schema: "public", publication: "none" },
      new RelationVersions(),
      new LogMark(session),
    );
    return await reader.chunk(MODEL, null, { rows: 1000, bytes: 1e8 }, signal);
  }

  test.skipIf(missing).for(["Asia/Tokyo", "America/New_York", "Europe/London"])(
    "every value arrives as column::text prints it, whatever the database's defaults are (%s)",
    async (zone) => {
      await database.sql(`
        ALTER DATABASE ${database.name} SET TimeZone = '${zone}';
        ALTER DATABASE ${database.name} SET DateStyle = 'German';
        ALTER DATABASE ${database.name} SET IntervalStyle = 'iso_8601';
        ALTER DATABASE ${database.name} SET bytea_output = 'escape';
        ALTER DATABASE ${database.name} SET extra_float_digits = 0;
        ALTER DATABASE ${database.name} SET search_path = "Corpus", public`);
      const chunk = await readAll();
      const client = await connect({ url: database.url }, { replication: false, signal: AbortSignal.timeout(10_000) });
      const casts = TABLE.columns.map((name) => `${quoteIdentifier(name)}::text`).join(", ");
      const { rows } = await client.query<(string | null)[]>({
        text: `SELECT id::text, ${casts} FROM ${TABLE.sql} AS t ORDER BY t.id`,
        rowMode: "array",
      });
      await close(client);
      expect(chunk.rows.length).toBe(TABLE.inserts.length);
      for (const [row, values] of rows.entries()) {
        for (const [place, value] of values.entries()) {
          expect({ column: chunk.relation.columns[place]!.name, value: chunk.rows[row]![place] }).toEqual({
            column: chunk.relation.columns[place]!.name,
            value,
          });
        }
      }
    },
  );

  test.skipIf(missing)("every value becomes JSON with all its digits, elements of arrays included", async () => {
    const { relation, rows } = await readAll();
    const client = await connect({ url: database.url }, { replication: false, signal: AbortSignal.timeout(10_000) });
    let compared = 0;
    for (const [place, column] of relation.columns.entries()) {
      for (const row of rows) {
        const text = row[place];
        if (typeof text !== "string") continue;
        const json = jsonOf(column, text);
        expect(() => JSON.parse(json) as unknown, `${column.name}: ${json}`).not.toThrow();
        if (column.json === "number" && /\d/.test(text)) expect(json).toBe(text);
        if (column.json === "json") expect(json).toBe(text);
        if (typeof column.json === "function") {
          const type = TYPE_CORPUS[place - 1]!.type;
          const facts = await client.query<Record<"texts" | "shape", string>>(
            `SELECT (SELECT coalesce(json_agg(CASE WHEN e IS NULL THEN NULL ELSE format('%s', e) END), '[]') FROM unnest($1::${type}) AS e)::text AS texts,
                    (SELECT coalesce(json_agg(array_length($1::${type}, d)), '[]') FROM generate_series(1, array_ndims($1::${type})) d)::text AS shape`,
            [text],
          );
          const shape = JSON.parse(facts.rows[0]!.shape) as number[];
          if (type !== '"Corpus".pair[]') {
            // unnest spreads composites
            const expected = JSON.parse(facts.rows[0]!.texts) as (string | null)[];
            expect(elementsOf(json, shape.length), column.name).toEqual(
              expected.map((element) => elementJson(type, element)),
            );
          }
          expect(shapeOf(JSON.parse(json), shape.length), column.name).toEqual(shape);
          compared += 1;
        }
      }
    }
    await close(client);
    expect(compared).toBeGreaterThan(300);
  });

  test.skipIf(missing)(
    "a type that is not known, or is no more, is a text; problems elsewhere do not matter",
    async () => {
      const client = await connect({ url: database.url }, { replication: false, signal: AbortSignal.timeout(10_000) });
      const oid = Number(
        (await client.query<{ oid: string }>("SELECT 'unrelated.nothing'::regtype::oid::text AS oid")).rows[0]!.oid,
      );
      const types = await loadTypes(client, [23, 4_000_000_000, oid]);
      await close(client);
      expect(columnFor(types.get(4_000_000_000)!, "x", false)).toMatchObject({
        column: { json: "string", type: "unknown", comparison: "text", nullable: true },
        normalise: null,
      });
      expect(columnFor(types.get(oid)!, "x", true).column).toMatchObject({
        json: "string",
        type: "unrelated.nothing",
        nullable: false,
      });
      expect(columnFor(types.get(23)!, "x", true).column).toMatchObject({
        json: "number",
        type: "integer",
        comparison: "number",
      });
    },
  );
});

function jsonOf(column: Column, text: string): string {
  switch (column.json) {
    case "string":
      return JSON.stringify(text);
    case "number":
      return /\d/.test(text) ? text : JSON.stringify(text);
    case "boolean":
    case "json":
      return text;
    default:
      return column.json(text);
  }
}

/** What one element should be, by the type in the corpus. */
function elementJson(type: string, text: string | null): string {
  if (text === null) return "null";
  const element = type.replace("[]", "");
  if (element === '"Corpus".numbers')
    return type.endsWith("[]")
      ? text.replace(/^.*=/, "").replace("{", "[").replace("}", "]").replace("NULL", "null")
      : text;
  if (/^(int\d|numeric|float\d|"Corpus".amount)$/.test(element)) return /\d/.test(text) ? text : JSON.stringify(text);
  if (element === "bool" || element === '"Corpus".flag') return text === "t" ? "true" : "false";
  if (/^jsonb?$/.test(element)) return text.replaceAll("\n", " ");
  return JSON.stringify(text);
}

/** The innermost elements of a JSON array of so many dimensions, as they are written. */
function elementsOf(json: string, depth: number): string[] {
  const found: string[] = [];
  let level = 0;
  let start = -1;
  let inText = false;
  for (let at = 0; at < json.length; at += 1) {
    const char = json[at]!;
    if (inText) {
      if (char === "\\") at += 1;
      else if (char === '"') inText = false;
    } else if (char === '"') {
      inText = true;
    } else if (char === "," && level === depth) {
      found.push(json.slice(start, at));
      start = at + 1;
    } else if (char === "[" || char === "{") {
      level += 1;
      if (level === depth && char === "[") start = at + 1;
    } else if (char === "]" || char === "}") {
      if (level === depth) found.push(json.slice(start, at));
      level -= 1;
    }
  }
  return found.filter((text) => text !== "");
}

/** Lengths by dimension of a nested array. */
function shapeOf(value: unknown, dimensions: number): number[] {
  if (!Array.isArray(value) || dimensions === 0) return [];
  return [value.length, ...shapeOf(value[0], dimensions - 1)];
}
