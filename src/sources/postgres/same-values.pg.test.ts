import { describe, expect, inject, test } from "vitest";
import type { Log } from "../../contracts/log.ts";
import type { Values } from "../../contracts/values.ts";
import { testDatabase } from "../../../test/support/postgres.ts";
import { corpusTable } from "../../../test/support/type-corpus.ts";
import connector from "./index.ts";
import { tableModel } from "../../../test/support/models.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent } as Log;

describe.each([
  { server: "PostgreSQL 18", url: inject("postgresUrl") },
  { server: "PostgreSQL 15", url: inject("postgres15Url") },
])("the log and the backfill on $server", ({ url }) => {
  test.skipIf(url === "")("give the same text for every value of every type, and the same relation", async () => {
    await using database = await testDatabase(url);
    const table = corpusTable();
    await database.sql(`${table.create}; ALTER TABLE ${table.sql} REPLICA IDENTITY FULL;
      ALTER DATABASE ${database.name} SET TimeZone = 'Asia/Tokyo'; ALTER DATABASE ${database.name} SET DateStyle = 'SQL, DMY';
      ALTER DATABASE ${database.name} SET bytea_output = 'escape'; ALTER DATABASE ${database.name} SET IntervalStyle = 'sql_standard'`);
    const model = tableModel("every type", { namespace: "Corpus" });
    const signal = AbortSignal.timeout(30_000);
    const source = connector.create(connector.settings.parse({ url: database.url }), {
      name: `s_${database.name}`,
      project: "tailrace",
      log: silent,
    });
    await using _ = source;
    const from = await source.open([model], [], signal);
    for (const insert of table.inserts) await database.sql(insert);
    await database.sql(`UPDATE ${table.sql} SET id = id`);
    const inserted: Values[] = [];
    const updated: { before: Values | null; after: Values | null }[] = [];
    let relation: unknown = null;
    for await (const batch of source.read(from.position, signal)) {
      for (const change of batch.changes) {
        relation = change.relation;
        if (change.op === "insert") inserted.push(change.after!);
        else updated.push(change);
      }
      if (updated.length === table.inserts.length) break;
    }
    const chunk = await source.snapshot(model, null, { rows: 1000, bytes: 1e8 }, signal);
    expect(inserted).toEqual(chunk.rows);
    const byId = (rows: readonly Values[]) => new Map(rows.map((row) => [row[0], row]));
    expect(byId(updated.map(({ before }) => before!))).toEqual(byId(chunk.rows));
    expect(byId(updated.map(({ after }) => after!))).toEqual(byId(chunk.rows));
    // One object for both, so that what is compiled for it fits both.
    expect(chunk.relation).toBe(relation);
    expect(await source.describe(model, signal)).toBe(relation);
  });
});
