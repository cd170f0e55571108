import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { testDatabase } from "../../../test/support/postgres.ts";
import { model } from "../../../test/support/postgres-replication.ts";
import type { Change } from "../../contracts/change.ts";
import type { Log } from "../../contracts/log.ts";
import postgres from "./index.ts";

const log: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => log };
const never = new AbortController().signal;

test("catalogue, snapshot and stream speak of the same relation and print the same values", async () => {
  await using database = await testDatabase();
  await database.sql(`
    CREATE TYPE mood AS ENUM ('ok', 'sad');
    CREATE DOMAIN amount AS numeric(12, 2);
    CREATE TABLE t (
      id bigint PRIMARY KEY, ok bool, pad char(6), mood mood, money amount, moods mood[], flags bool[], addr inet,
      j json, jb jsonb, ts timestamptz, span interval, bytes bytea, f float8, twice int GENERATED ALWAYS AS (id * 2) STORED)`);
  const settings = postgres.settings.parse({ url: database.url });
  await using source = postgres.create(settings, { name: database.name, project: "tailrace", log });
  const described = await source.describe(model("t"), never);
  // Another test of this server may have a transaction open, which a new slot waits for.
  const start = await vi.waitFor(() => source.open([model("t")], [], never), { timeout: 30_000 });
  await database.sql(`
    INSERT INTO t VALUES
      (1, true, 'ab', 'sad', 1.5, '{ok,sad}', '{t,NULL,f}', '10.0.0.1', '{"n": 1.10}', '{"n": 1.10}',
       '2026-03-29 02:30:00.000001+01', '1 mon -2 days', '\\x00ff', 'NaN'),
      (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'infinity', NULL, NULL, -0.1)`);
  const changes: Change[] = [];
  for await (const batch of source.read(start.position, never)) {
    changes.push(...batch.changes);
    if (changes.length === 2) break;
  }
  await source.settle(never);
  const chunk = await source.snapshot(model("t"), null, { rows: 10, bytes: 1_000_000 }, never);
  expect(changes.map((change) => change.after)).toEqual(chunk.rows);
  expect(chunk.relation).toBe(described);
  expect(changes[0]!.relation).toBe(described);
  expect(chunk.high > changes[1]!.position).toBe(true);
  expect(chunk.sees(changes[0]!.transaction.id)).toBe(true);
  const columns = described.columns.map((column) => column.name);
  const casts = columns.map((name) => `"${name}"::text`).join(", ");
  await database.sql("SET TimeZone = 'UTC'; SET extra_float_digits = 1");
  const asText = await database.client.query({ text: `SELECT ${casts} FROM t ORDER BY id`, rowMode: "array" });
  expect(chunk.rows).toEqual(asText.rows);
});

test("files of `tls` are looked for in the configuration's folder, by every connection", async () => {
  await using database = await testDatabase();
  const baseDirectory = await mkdtemp(join(tmpdir(), "tailrace-test-"));
  const folder = { [Symbol.asyncDispose]: () => rm(baseDirectory, { recursive: true }) };
  await using _ = folder;
  await writeFile(join(baseDirectory, "authority.pem"), "");
  const tls = { mode: "verify-full", ca: "authority.pem" };
  const settings = postgres.settings.parse({ url: database.url, tls });
  await using source = postgres.create(settings, { name: database.name, project: "tailrace", log, baseDirectory });
  // The test server has no TLS, which is found out only after the file was read.
  const later = { message: expect.stringContaining("does not offer TLS") };
  await expect(source.describe(model("t"), never)).rejects.toMatchObject(later);
  await expect(source.explain(model("t"), never)).rejects.toMatchObject(later);
  await expect(source.open([model("t")], [], never)).rejects.toMatchObject(later);
  expect(await source.check([], never)).toMatchObject([later]);
});
